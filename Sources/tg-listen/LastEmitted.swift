import Envelope
import Glibc
import JSON
import Payloads

/// Reads the newest updates of a listener from the end of its output file.
enum LastEmitted {
    /// The number of bytes that are searched. An update has some kilobytes; for a batch see `ListenOutput.mostBytes`.
    private static let searchedBytes = 1 << 20

    /// Returns whether a path leads to a regular file, which can be searched.
    static func canSearch(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, R_OK) == 0
    }

    /// Returns the updates of one bot or account at the end of a regular file, newest first, as long as `isWanted`; none for any
    /// other file.
    ///
    /// - Parameter receiver: the member of an event that names its bot or account.
    static func updates(
        in path: String, of receiver: (Envelope) -> EventReceiver?, _ id: Int64,
        while isWanted: (_ updateID: Int64) -> Bool
    ) -> [TelegramUpdate] {
        var found: [TelegramUpdate] = []
        // A line that a kill has torn is no JSON, so its update is emitted again. One that lacks only its line feed is complete: the
        // output adds the line feed when it opens the file.
        for line in (tail(of: path)?.split(separator: UInt8(ascii: "\n")) ?? []).reversed() {
            guard let event = try? Envelope(JSON(parsing: Array(line))), event.type == TelegramUpdate.type,
                receiver(event)?.id == id, let update = try? TelegramUpdate(event)
            else { continue }
            guard let updateID = update.updateID, isWanted(updateID) else { break }
            found.append(update)
        }
        return found
    }

    private static func tail(of path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let start = max(0, Int(status.st_size) - searchedBytes)
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size) - start)
        return pread(descriptor, &bytes, bytes.count, start) == bytes.count ? bytes : nil
    }
}

import Glibc
import JSON

/// What an output file says of the listener that wrote it last.
enum LastEmitted {
    /// Longer tails are not searched: an update is some kilobytes.
    private static let searchedBytes = 1 << 20

    /// Who received an update: the key in `meta`.
    enum Receiver: String {
        case bot, account
    }

    /// The updates of this bot or account at the end of a regular file, newest first, as long as `isWanted`; none for anything else.
    static func updates(
        in path: String, of receiver: Receiver, _ id: Int64, while isWanted: (_ updateID: Int64) -> Bool
    ) -> [JSONObject] {
        var found: [JSONObject] = []
        // What is behind the last line feed is torn, and will be emitted again.
        for line in (tail(of: path)?.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) ?? [])
            .dropLast().reversed()
        {
            guard let event = try? JSON(parsing: Array(line)), event["type"] == "events.telegram.raw",
                event["meta"]?[receiver.rawValue]?["id"]?.int == id, let payload = event["payload"]?.object
            else { continue }
            guard let updateID = payload["update_id"]?.int, isWanted(updateID) else { break }
            found.append(payload)
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

import Envelope
import Glibc

/// What an output file says of the listener that wrote it last.
enum LastEmitted {
    /// Longer tails are not searched: an update is some kilobytes.
    private static let searchedBytes = 1 << 20

    /// The id of the last whole update of this bot in a regular file; nil for anything else.
    static func updateID(in path: String, botID: Int64) -> Int64? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let start = max(0, Int(status.st_size) - searchedBytes)
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size) - start)
        guard pread(descriptor, &bytes, bytes.count, start) == bytes.count else { return nil }
        // What is behind the last line feed is torn, and will be emitted again.
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
        for line in lines.reversed() {
            guard let event = try? JSON(parsing: Array(line)), event["meta"]?["bot"]?["id"]?.int == botID else {
                continue
            }
            return event["payload"]?["update_id"]?.int
        }
        return nil
    }
}

import Glibc
import System

/// Stores a bot's offset, which is the id of its next update, in a file of one line.
///
/// One `pwrite` of fixed size overwrites the line in place. The space is allocated at the start, so that a full disk is reported before
/// anything is emitted. No fsync is needed, because Telegram keeps unconfirmed updates.
final class OffsetFile: ProgressFile {
    private static let width = 20
    private let descriptor: Int32
    let path: String

    /// The content before there is an offset: Telegram counts from 1.
    private static let none = "0"

    /// Opens or creates the file.
    ///
    /// - Throws: `ToolError` (74, also for a full disk; 78 when another tg-listen holds the file or it is damaged).
    init(path: String) throws {
        self.path = path
        descriptor = try openLocked(path)
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size > 0 || write(OffsetFile.none) else {
            throw ToolError(.localIO, "unable to write the state file \(path): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    func load() throws -> String? {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        guard text.hasSuffix("\n"), let offset = Int64(text.dropLast()) else {
            throw ToolError(
                .configuration, "the state file \(path) is damaged: it must hold one number; remove it to start afresh")
        }
        return "\(offset)" == OffsetFile.none ? nil : "\(offset)"
    }

    func note(_ progress: String) throws {
        guard write(progress) else {
            let reason = String(cString: strerror(errno))
            throw ToolError(
                .localIO,
                "unable to write the state file \(path): \(reason); the update before \(progress) will be emitted again"
            )
        }
    }

    private func write(_ digits: String) -> Bool {
        let line = String(repeating: "0", count: max(0, OffsetFile.width - digits.utf8.count)) + digits + "\n"
        return pwrite(descriptor, line, line.utf8.count, 0) == line.utf8.count
    }
}

/// Opens a state file that no other tg-listen has open, and creates a missing one.
func openLocked(_ path: String, lock: String? = nil) throws(ToolError) -> Int32 {
    let descriptor = open(lock ?? path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
        throw ToolError(.localIO, "unable to open the state file \(path): \(String(cString: strerror(errno)))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        close(descriptor)
        throw ToolError(.configuration, "the state file \(path) is in use by another tg-listen")
    }
    return descriptor
}

import Glibc
import JSON
import System

/// Stores an account's state in a file, which is replaced as a whole: a kill leaves the old or the new state, never a mixture.
///
/// No fsync is needed, because Telegram keeps updates, and updates that the output has beyond the state are recognised.
final class StateFile: ProgressFile {
    private let lock: Int32
    let path: String

    /// The content before there is a state. An empty file has lost its state.
    private static let none = "{}"
    /// The most bytes that are read; a channel needs some dozens.
    private static let longest = 16 << 20

    /// Opens or creates the file.
    ///
    /// - Throws: `ToolError` (74, also for a full disk; 78 when another tg-listen holds the file).
    init(path: String) throws {
        self.path = path
        lock = try openLocked(path, lock: path + ".lock")
        guard access(path, F_OK) != 0 else { return }
        try replace(StateFile.none)
    }

    deinit { close(lock) }

    func load() throws -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("read") }
        var bytes = [UInt8](repeating: 0, count: min(Int(status.st_size), StateFile.longest))
        guard pread(descriptor, &bytes, bytes.count, 0) == bytes.count else { throw failure("read") }
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.hasSuffix("\n") else {
            throw ToolError(
                .configuration,
                "the state file \(path) is damaged: it must hold one line of JSON; remove it to start afresh")
        }
        return text.dropLast() == StateFile.none ? nil : String(text.dropLast())
    }

    func note(_ progress: String) throws { try replace(progress) }

    private func replace(_ text: String) throws {
        do throws(SystemError) {
            try AtomicFile.replace(path, with: Array("\(text)\n".utf8), durability: .process)
        } catch {
            throw failure("write", error.number)
        }
    }

    private func failure(_ verb: String, _ number: Int32 = errno) -> ToolError {
        ToolError(.localIO, "unable to \(verb) the state file \(path): \(SystemError(number))")
    }
}

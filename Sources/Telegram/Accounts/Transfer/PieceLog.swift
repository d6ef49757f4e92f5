import JSON
import System
import Glibc
import Synchronization

/// Records the finished pieces of a transfer in a file, so that a later attempt continues, also after a crash.
///
/// The first line is JSON that identifies the transfer. Each further line has the number of a finished piece. Each line
/// is appended with one write, so a killed process leaves whole lines. After a restart of the machine the record is
/// discarded: pieces written before a power failure may not have reached the disk.
final class PieceLog: Sendable {
    private let path: String
    private let descriptor: Int32
    private let pieces: Mutex<Set<Int>>
    /// Further values, recorded when the transfer began.
    let details: JSONObject

    /// Continues the transfer of the same identity, or begins a new one. Blocks.
    ///
    /// - Parameters:
    ///   - secondsKept: The age in seconds from which a record is too old to continue.
    ///   - details: The values to record for a new transfer.
    /// - Returns: nil if another attempt is running.
    /// - Throws: `AccountError`.
    init?(
        _ path: String, identity: JSONObject, secondsKept: Int64, details: JSONObject
    ) throws(AccountError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .localIO("unable to write \(path)") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
        (self.path, self.descriptor) = (path, descriptor)
        if let known = PieceLog.read(descriptor), known.isOf(identity, secondsKept) {
            self.details = known.details
            pieces = Mutex(known.pieces)
            return
        }
        self.details = details
        pieces = Mutex([])
        let head = JSON.object([
            "identity": .object(identity), "details": .object(details),
            "boot": MachineStart.current.map { .string($0) },
            "began_at": .integer(Int64(time(nil))),
        ])
        guard ftruncate(descriptor, 0) == 0, append(head.text) else { throw .localIO("unable to write \(path)") }
    }

    deinit { close(descriptor) }

    var done: Set<Int> { pieces.withLock { $0 } }

    /// Records a finished piece. Blocks. A failed write is ignored: it costs only the repetition of the piece.
    func add(_ piece: Int) {
        pieces.withLock { pieces in
            if pieces.insert(piece).inserted { _ = append("\(piece)") }
        }
    }

    /// Removes the record. Blocks.
    func remove() { unlink(path) }

    private func append(_ line: String) -> Bool {
        lseek(descriptor, 0, SEEK_END)
        return Array((line + "\n").utf8).withUnsafeBytes { writeAll(descriptor, $0) } == 0
    }

    private struct Content {
        var head: JSONObject
        var pieces: Set<Int>

        var details: JSONObject { head["details"]?.object ?? [:] }

        func isOf(_ identity: JSONObject, _ secondsKept: Int64) -> Bool {
            guard head["identity"]?.object == identity, let beganAt = head["began_at"]?.int else { return false }
            let age = Int64(time(nil)) - beganAt
            return head["boot"]?.string == MachineStart.current && age >= 0 && age < secondsKept
        }
    }

    private static let maxBytes = 1 << 20

    private static func read(_ descriptor: Int32) -> Content? {
        let bytes = [UInt8](unsafeUninitializedCapacity: maxBytes) { buffer, count in
            count = max(0, pread(descriptor, buffer.baseAddress, buffer.count, 0))
        }
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)[...]
        guard bytes.count < maxBytes, let first = lines.popFirst(), let head = try? JSON(parsing: Array(first)).object
        else { return nil }
        return Content(
            head: head, pieces: Set(lines.compactMap { Int(String(decoding: $0, as: UTF8.self)) }.filter { $0 >= 0 }))
    }
}

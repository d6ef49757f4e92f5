import JSON
import System
import Glibc
import Synchronization

/// Which pieces of a transfer are done, kept in a file so that a later attempt goes on, also after a crash.
///
/// One line of JSON says what the transfer is; each further line has the number of a piece that is done. Lines are appended with one
/// write each, so a killed process leaves whole lines. After another start of the machine nothing of it is believed: what was
/// written before the power failed may not have reached the disk.
final class PieceLog: Sendable {
    private let path: String
    private let descriptor: Int32
    private let pieces: Mutex<Set<Int>>
    /// What else was noted when the transfer began.
    let details: JSONObject

    /// Goes on with the transfer of the same identity, or begins another one. Blocks.
    ///
    /// - Parameters:
    ///   - secondsKept: since its beginning.
    ///   - details: of a transfer that begins now.
    /// - Returns: nil when another attempt is under way.
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

    /// Notes a piece. Blocks; a disk that is full is no reason to end the transfer.
    func add(_ piece: Int) {
        pieces.withLock { pieces in
            if pieces.insert(piece).inserted { _ = append("\(piece)") }
        }
    }

    /// Forgets the transfer. Blocks.
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

    private static let mostBytes = 1 << 20

    private static func read(_ descriptor: Int32) -> Content? {
        let bytes = [UInt8](unsafeUninitializedCapacity: mostBytes) { buffer, count in
            count = max(0, pread(descriptor, buffer.baseAddress, buffer.count, 0))
        }
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)[...]
        guard bytes.count < mostBytes, let first = lines.popFirst(), let head = try? JSON(parsing: Array(first)).object
        else { return nil }
        return Content(
            head: head, pieces: Set(lines.compactMap { Int(String(decoding: $0, as: UTF8.self)) }.filter { $0 >= 0 }))
    }
}

import JSON
import Glibc
import System

/// Where a file that is being downloaded goes: `PATH.part`, with `PATH.part.map` beside it that says which pieces are there, and in the
/// end PATH.
final class DownloadTarget: Sendable {
    private static let secondsKept: Int64 = 30 * 86400

    private let path: String
    private let partPath: String
    private let descriptor: Int32
    private let log: PieceLog
    /// Pieces that need not be asked for.
    let done: Set<Int>

    /// Blocks.
    ///
    /// - Throws: `AccountError`.
    init(_ path: String, identity: JSONObject) throws(AccountError) {
        (self.path, partPath) = (path, path + ".part")
        descriptor = open(partPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .localIO("unable to write \(partPath)") }
        let log: PieceLog
        do throws(AccountError) {
            guard
                let mine = try PieceLog(
                    partPath + ".map", identity: identity, secondsKept: DownloadTarget.secondsKept, details: [:])
            else { throw AccountError(.localIO, "another program is downloading to \(path)") }
            log = mine
        } catch {
            close(descriptor)
            throw error
        }
        self.log = log
        var status = stat()
        let size = fstat(descriptor, &status) == 0 ? Int64(status.st_size) : 0
        done = log.done.filter { Int64($0) * Int64(TransferSettings.pieceBytes) < size }
        if done.isEmpty { ftruncate(descriptor, 0) }
    }

    deinit { close(descriptor) }

    /// Of the pieces that are done, of a file of this size.
    func doneBytes(of sizeBytes: Int64?) -> Int64 {
        let piece = Int64(TransferSettings.pieceBytes)
        return done.reduce(0) { $0 + min(piece, max(0, (sizeBytes ?? .max) - Int64($1) * piece)) }
    }

    /// Puts a piece in its place. Blocks.
    func write(_ bytes: ArraySlice<UInt8>, piece: Int) throws(AccountError) {
        let offset = Int64(piece) * Int64(TransferSettings.pieceBytes)
        let failure = bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let count = pwrite(
                    descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset) + done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return errno }
                done += count
            }
            return 0
        }
        guard failure == 0 else { throw .localIO("unable to write \(partPath)", failure) }
        log.add(piece)
    }

    /// Makes the file durable, and gives it its name. Blocks.
    func finish(sizeBytes: Int64?) throws(AccountError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, sizeBytes == nil || Int64(status.st_size) == sizeBytes else {
            throw AccountError(.localIO, "\(partPath) was changed while it was written")
        }
        guard fsync(descriptor) == 0, rename(partPath, path) == 0 else { throw .localIO("unable to write \(path)") }
        log.remove()
        syncFolder(parentFolder(path))
    }
}

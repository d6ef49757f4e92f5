import JSON
import Glibc
import System

/// Writes a download to `PATH.part`, records the finished pieces in `PATH.part.map`, and in the end renames the first
/// to PATH.
final class DownloadTarget: Sendable {
    private static let secondsKept: Int64 = 30 * 86400

    private let path: String
    private let partPath: String
    private let descriptor: Int32
    private let log: PieceLog
    /// The pieces that an earlier attempt has written.
    let done: Set<Int>

    /// Opens the files, and continues an earlier attempt if there is one. Blocks.
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
            else {
                throw AccountError(
                    .localIO, "another program is downloading to \(path): wait for it, or choose another file name")
            }
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

    /// Returns the bytes in the finished pieces of a file of this size.
    func doneBytes(of sizeBytes: Int64?) -> Int64 {
        let piece = Int64(TransferSettings.pieceBytes)
        return done.reduce(0) { $0 + min(piece, max(0, (sizeBytes ?? .max) - Int64($1) * piece)) }
    }

    /// Writes a piece at its offset. Blocks.
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

    /// Flushes the file to the disk and gives it its final name. Blocks.
    func finish(sizeBytes: Int64?) throws(AccountError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, sizeBytes == nil || Int64(status.st_size) == sizeBytes else {
            throw AccountError(.localIO, "\(partPath) was changed by another program during the download")
        }
        guard fsync(descriptor) == 0, rename(partPath, path) == 0 else { throw .localIO("unable to write \(path)") }
        log.remove()
        syncFolder(parentFolder(path))
    }
}

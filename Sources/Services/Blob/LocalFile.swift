import System
import Crypto
import Glibc
import Synchronization

/// A regular file opened for reading. The bytes stay at hand when the name is moved or removed meanwhile.
package final class LocalFile: Sendable {
    package let path: String
    package let sizeBytes: Int64
    /// Owned by this object, closed with it.
    package let descriptor: Int32
    /// Nobody will write to the file any more, so that a store on the same disk may link to it instead of copying.
    package let isFinal: Bool
    private let hashed = Mutex<(sha256: String, state: State)?>(nil)

    /// What changes when somebody writes to the file.
    private struct State: Equatable {
        var sizeBytes: Int
        var modifiedNanoseconds: Int64
    }

    /// - Throws: `.localIO` when there is no such file, or it is a folder or a device.
    package init(path: String, isFinal: Bool = false) throws(BlobError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw BlobError.system("unable to read \(path)") }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw BlobError(.localIO, "unable to read \(path): not a regular file")
        }
        self.path = path
        self.isFinal = isFinal
        self.descriptor = descriptor
        sizeBytes = Int64(status.st_size)
    }

    deinit { close(descriptor) }

    /// Hands out the bytes of a range, a piece at a time.
    ///
    /// - Throws: `.localIO`, also when the file has become shorter.
    func read(
        from offset: Int64, count: Int64, cancellation: Cancellation,
        _ body: (UnsafeRawBufferPointer) throws(BlobError) -> Void
    ) throws(BlobError) {
        let reader = FileReadAhead(descriptor, from: offset, count: count)
        var left = count
        while left > 0 {
            try cancellation.check()
            let bytes: UnsafeRawBufferPointer
            do { bytes = try reader.next() } catch { throw BlobError.system("unable to read \(path)", error.number) }
            guard !bytes.isEmpty else { throw BlobError(.localIO, "\(path) became shorter while it was read") }
            try body(bytes)
            left -= Int64(bytes.count)
        }
    }

    /// The SHA-256 of all of it, in hex. Blocks.
    func sha256(_ cancellation: Cancellation) throws(BlobError) -> String {
        var hash = SHA256()
        let before = state
        try read(from: 0, count: sizeBytes, cancellation: cancellation) { hash.update($0) }
        let sha256 = hash.finish()
        hashed.withLock { $0 = before.map { (sha256, $0) } }
        return sha256
    }

    /// Whether the file was found to have this SHA-256, and was not written to since.
    func isKnown(toHave sha256: String) -> Bool {
        guard let state else { return false }
        return hashed.withLock { $0.map { $0.sha256 == sha256 && $0.state == state } ?? false }
    }

    private var state: State? {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        return State(
            sizeBytes: Int(status.st_size), modifiedNanoseconds: status.modifiedNanoseconds)
    }

    /// The SHA-256 of all of it, in hex.
    package func sha256() async throws(BlobError) -> String {
        try await onOwnThread { (cancellation) throws(BlobError) in try self.sha256(cancellation) }
    }
}

extension BlobError {
    /// What `errno` says, after `what`.
    static func system(_ what: String, _ number: Int32 = errno) -> BlobError {
        let reason = number == ENOSPC || number == EDQUOT ? "the disk is full" : String(cString: strerror(number))
        return BlobError(.localIO, "\(what): \(reason)", isTemporary: number == ENOSPC || number == EDQUOT)
    }
}

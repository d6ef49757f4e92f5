import Crypto
import HTTP
import Synchronization

/// Takes an object's bytes as they come, into a file aside, and knows whether they are all and the right ones.
///
/// Written on the HTTP client's thread while the caller waits, one call at a time; read by the caller afterwards.
final class S3Download: @unchecked Sendable {
    private let path: String
    private let onProgress: (@Sendable (Int64) -> Void)?
    private var file: PartialFile?
    private var hash = SHA256()
    private var received: Int64 = 0
    private var isRefused = false
    /// The body of an answer other than 200: an XML error.
    private(set) var refusal: [UInt8] = []

    init(to path: String, onProgress: (@Sendable (Int64) -> Void)?) {
        self.path = path
        self.onProgress = onProgress
    }

    /// Before each attempt: what an earlier one wrote is dropped.
    func restart() throws(BlobError) {
        file = try PartialFile(in: parentFolder(path))
        hash = SHA256()
        received = 0
        refusal = []
    }

    /// Removes what was written, at once: the client's thread may hold on to this object for a moment longer.
    func discard() { file = nil }

    func begin(_ head: HTTPHead) throws(BlobError) -> HeadDecision {
        isRefused = head.status != 200
        return .receive
    }

    func take(_ bytes: UnsafeRawBufferPointer) throws(BlobError) {
        guard !isRefused else {
            guard refusal.count + bytes.count <= XMLAnswer.maxBytes else {
                throw BlobError(.protocolError, "the store's answer is too long for an error")
            }
            refusal += bytes
            return
        }
        try file?.write(bytes)
        hash.update(bytes)
        received += Int64(bytes.count)
        onProgress?(received)
    }

    /// Checks what came against `info`, and gives it its name.
    func finish(_ info: BlobInfo, store: String) throws(BlobError) {
        // What is not wanted is removed now, not when the client's thread lets go of this object.
        defer { file = nil }
        guard received == info.sizeBytes else {
            throw BlobError(.unreachable, "\(store) sent \(received) of \(info.sizeBytes) bytes", isTemporary: true)
        }
        if let expected = info.metadata.sha256, expected != hash.finish() {
            throw BlobError.damaged(info.key, in: store)
        }
        try file?.sync()
        try file?.rename(to: path)
    }
}

import Blob
import Media
import Payloads
import Stage
import Synchronization
import System

/// Sends one download to the store while it arrives.
final class StoreStream: DownloadStream {
    private struct State {
        var upload: StreamedUpload?
        var entry: UploadBook.Entry
        var failure: BlobError?
        /// Is true if the store may have begun an upload.
        var mayHaveBegun = false
    }

    private let book: UploadBook
    let name: String
    private let state: Mutex<State>

    /// - Parameter fence: the number of this process's ownership; nil if it has none.
    init(_ book: UploadBook, for address: ContentAddress, fence: Int64?) {
        self.book = book
        name = UploadBook.name(address)
        state = Mutex(State(entry: UploadBook.Entry(fence: fence)))
    }

    /// A smaller file is sent at once, when it has arrived.
    var leastBytes: Int { UploadArea.leastPieceBytes }

    /// Is true if the store may have begun an upload.
    var hasBegun: Bool { state.withLock { $0.mayHaveBegun } }

    /// The failure of the store that ended the download; nil if it ended for another reason.
    var failure: BlobError? { state.withLock { $0.failure } }

    func begin(sizeBytes: Int64?, atMost maxBytes: Int64) async throws(MediaError) -> Int? {
        try await noting { () throws(BlobError) in
            let pieceBytes = try UploadArea.pieceBytes(sizeBytes: sizeBytes, atMost: maxBytes)
            // A download that begins anew goes on with its upload.
            if state.withLock({ $0.upload }) != nil { return pieceBytes }
            // Without the book, nobody would remove the upload of a dead process.
            guard await book.note(name, state.withLock { $0.entry }) else { return nil }
            let upload = try await begin()
            let entry = state.withLock { state in
                state.upload = upload
                state.entry.uploadID = upload.id
                return state.entry
            }
            _ = await book.note(name, entry)
            return pieceBytes
        }
    }

    private func begin() async throws(BlobError) -> StreamedUpload {
        state.withLock { $0.mayHaveBegun = true }
        do throws(BlobError) { return try await book.area.begin(name) } catch {
            if [.refused, .noSuchBucket, .configuration, .invalid].contains(error.code) {
                state.withLock { $0.mayHaveBegun = false }
                await book.remove(name)
            }
            throw error
        }
    }

    func take(_ piece: [UInt8], as number: Int) async throws(MediaError) {
        try await noting { () throws(BlobError) in
            guard let upload = state.withLock({ $0.upload }) else { throw BlobError(.invalid, "no upload has begun") }
            try await upload.put(piece, as: number)
        }
    }

    /// Makes the object of the pieces.
    func finish(
        _ media: MediaFetched, onProgress: @escaping @Sendable (Int64) -> Void
    ) async throws(BlobError) -> MediaObject.Stored {
        guard let upload = state.withLock({ $0.upload }) else { throw BlobError(.invalid, "no upload has begun") }
        return try await MediaObject.put(
            upload, of: media.metadata, as: media.key,
            onCopy: { id throws(BlobError) in
                let entry = state.withLock { state in
                    state.entry.copy = (media.key, id)
                    return state.entry
                }
                guard await book.note(name, entry) else {
                    throw BlobError(
                        .storeFailed, "Redis does not answer: nobody could remove the upload", isTransient: true)
                }
            }, onProgress: onProgress)
    }

    /// Removes what is left of the upload, after its object was made or because it will not be. What cannot be removed now stays in the
    /// book, and is removed later.
    func discard() async {
        let (upload, mayHaveBegun) = state.withLock { ($0.upload, $0.mayHaveBegun) }
        guard mayHaveBegun else { return }
        let isGone =
            if let upload { await upload.discard() } else {
                // The id of the upload did not arrive.
                await Task { (try? await book.area.remove(name, uploadID: nil)) != nil }.value
            }
        if isGone { await book.remove(name) }
    }

    private func noting<Value: Sendable>(
        _ call: () async throws(BlobError) -> Value
    ) async throws(MediaError) -> Value {
        do throws(BlobError) { return try await call() } catch {
            if error.code != .cancelled { state.withLock { $0.failure = error } }
            throw .cancelled
        }
    }
}

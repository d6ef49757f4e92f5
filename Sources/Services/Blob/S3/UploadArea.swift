import Crypto
import HTTP
import JSON
import Synchronization

/// The place in a bucket where objects are made piece by piece, below `.tgpipe/uploads/` and the store's prefix. An object that is
/// complete is copied from there to its key by the server.
package struct UploadArea: Sendable {
    let store: S3Store

    static let folder = ".tgpipe/uploads/"

    /// Is something that uploads have left in the area, or are still making there.
    package struct Content: Sendable, Equatable {
        package var name: String
        /// The id of an upload; nil for an object.
        package var uploadID: String?
        /// The time since the upload began, or since the object was made, by the server's clock; nil if the server does not tell.
        package var age: Duration?
    }

    /// Returns the key of a name in the area.
    ///
    /// - Throws: `.invalid` for a name other than 1 to 100 lower-case letters, digits and `-`.
    func key(_ name: String) throws(BlobError) -> String {
        guard UploadArea.isName(name) else { throw BlobError(.invalid, "an upload has a name that no upload has") }
        return UploadArea.folder + name
    }

    private static func isName(_ name: some StringProtocol) -> Bool {
        (1...100).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
            }
    }

    /// Returns the size of the pieces in which a file is sent: the smallest that S3 takes, or more if the file would have over 10,000.
    ///
    /// - Parameters:
    ///   - sizeBytes: the size of the file; nil if it is not known.
    ///   - maxBytes: the most that the file can have.
    /// - Throws: `.tooLarge`, which no file of less than 5 TiB is.
    package static func pieceBytes(sizeBytes: Int64?, atMost maxBytes: Int64) throws(BlobError) -> Int {
        let most = min(sizeBytes ?? maxBytes, largestObjectBytes)
        return Int(try PartPlan(sizeBytes: most, wantedBytes: S3Configuration.minPartBytes).partBytes)
    }

    private static let largestObjectBytes: Int64 = 5 << 40

    /// Begins an upload, in a bucket that is made if that is wanted.
    ///
    /// - Parameter name: 1 to 100 lower-case letters, digits and `-`, which no other upload has.
    package func begin(_ name: String) async throws(BlobError) -> StreamedUpload {
        let key = try key(name)
        let upload = try await UploadArea.explaining { () throws(BlobError) in
            try await store.creatingBucket { () throws(BlobError) in
                try await MultipartUpload.begin(key, headers: [], in: store)
            }
        }
        return StreamedUpload(upload, in: store)
    }

    /// Says what to do about a server that lacks what is needed here.
    static func explaining<Value>(_ call: () async throws(BlobError) -> Value) async throws(BlobError) -> Value {
        do throws(BlobError) { return try await call() } catch {
            // Only "not implemented" is a lasting failure of a server.
            guard error.code == .storeFailed, !error.isTransient else { throw error }
            throw BlobError(
                .configuration,
                "\(error.message): it lacks multipart uploads, or copies of their parts. Leave out --to-store, and use blob-put."
            )
        }
    }

    /// Aborts an upload of the area, and removes the object that it may have become.
    ///
    /// - Parameter uploadID: the upload's id; nil aborts all uploads with this name.
    /// - Returns: whether nothing of it is left.
    package func remove(_ name: String, uploadID: String?) async throws(BlobError) -> Bool {
        let key = try key(name)
        let ids = if let uploadID { [uploadID] } else { try await uploads(of: name).compactMap(\.uploadID) }
        var isGone = true
        for id in ids {
            let upload = MultipartUpload(store: store, key: key, id: id)
            isGone = await upload.abort() && isGone
        }
        try await store.delete(key)
        return isGone
    }

    /// Aborts an upload that copies an object of the area to its key.
    ///
    /// - Returns: whether nothing of it is left.
    package func abortCopy(to key: String, uploadID: String) async -> Bool {
        await MultipartUpload(store: store, key: key, id: uploadID).abort()
    }

    /// Returns the unfinished uploads of the area, and its objects: at most some thousands of each. What has a key that no upload of
    /// the area has is left out, whoever made it.
    package func contents() async throws(BlobError) -> [Content] {
        try await uploads(of: nil) + objects()
    }

    private static let pageLimit = 20

    /// - Parameter name: the name of the wanted uploads; nil for all.
    private func uploads(of name: String?) async throws(BlobError) -> [Content] {
        let prefix = try prefix() + (name ?? "")
        return try await pages(
            [("uploads", ""), ("prefix", prefix)], root: "ListMultipartUploadsResult", "Upload", "Initiated",
            markers: [("NextKeyMarker", "key-marker"), ("NextUploadIdMarker", "upload-id-marker")]
        ).filter { $0.uploadID != nil && name ?? $0.name == $0.name }
    }

    private func objects() async throws(BlobError) -> [Content] {
        try await pages(
            [("list-type", "2"), ("prefix", try prefix())], root: "ListBucketResult", "Contents", "LastModified",
            markers: [("NextContinuationToken", "continuation-token")])
    }

    private func prefix() throws(BlobError) -> String { String(try store.fullKey(key("x")).dropLast()) }

    private func pages(
        _ query: [(name: String, value: String)], root: String, _ element: String, _ time: String,
        markers: [(element: String, query: String)]
    ) async throws(BlobError) -> [Content] {
        let prefix = try prefix()
        var found: [Content] = []
        var next: [(name: String, value: String)] = []
        for _ in 0..<UploadArea.pageLimit {
            var call = S3Call("GET", key: nil)
            call.query = query + next
            let answer = try await store.client.send(call)
            guard answer.xml.isRoot(root) else {
                throw BlobError(
                    .protocolError, "\(store.name) answered a question for its contents with something else")
            }
            let now = answer.response.head.date("Date") ?? .now
            found += answer.xml.elements(element).compactMap { entry in
                guard let key = entry.text("Key"), key.hasPrefix(prefix), UploadArea.isName(key.dropFirst(prefix.count))
                else { return nil }
                return Content(
                    name: String(key.dropFirst(prefix.count)), uploadID: entry.text("UploadId"),
                    age: entry.text(time).flatMap { Timestamp($0) }.map { now.elapsed(since: $0) })
            }
            let following = markers.compactMap { marker in
                answer.xml.text(marker.element).flatMap { $0.isEmpty ? nil : (name: marker.query, value: $0) }
            }
            let isSame = following.map(\.value) == next.map(\.value)
            guard answer.xml.text("IsTruncated") == "true", !following.isEmpty, !isSame else { break }
            next = following
        }
        return found
    }
}

/// Represents an object that is being made piece by piece.
///
/// Pieces are sent one at a time. Nobody sees the object under its key before it is complete.
package final class StreamedUpload: Sendable {
    private let upload: MultipartUpload
    private let store: S3Store
    private let parts = Mutex<(parts: [MultipartUpload.Part], bytes: Int64)>(([], 0))
    private let hasLeftCopy = Mutex(false)
    private let isComplete = Mutex(false)

    init(_ upload: MultipartUpload, in store: S3Store) { (self.upload, self.store) = (upload, store) }

    package var id: String { upload.id }

    /// Sends a piece.
    ///
    /// - Parameters:
    ///   - piece: the bytes: in each piece but the last as many as `UploadArea.pieceBytes` says.
    ///   - number: counts from 1. The first piece begins the object anew.
    package func put(_ piece: [UInt8], as number: Int) async throws(BlobError) {
        guard number <= Int(PartPlan.maxParts) else {
            throw BlobError(.tooLarge, "the file has more pieces than S3 accepts")
        }
        let isSigned = store.client.configuration.options.signsPayload
        let part = try await expectingUpload { () throws(BlobError) in
            try await upload.put(
                number, .bytes(piece), hash: isSigned ? SHA256.hexDigest(piece) : SigV4.unsignedPayload)
        }
        try parts.withLock { sent throws(BlobError) in
            if number == 1 { sent = ([], 0) }
            guard sent.parts.count == number - 1 else { throw BlobError(.invalid, "a piece is missing") }
            sent = (sent.parts + [part], sent.bytes + Int64(piece.count))
        }
    }

    /// Makes the object of its pieces, under its key, unless there is one already.
    ///
    /// - Parameters:
    ///   - sha256: the SHA-256 of all bytes, in hex, which is kept in the metadata.
    ///   - onCopy: gets the id of the upload that copies the object to its key, before any byte is copied.
    ///   - onProgress: gets the number of bytes copied so far, on any thread.
    package func finish(
        as key: String, metadata: BlobMetadata, sha256: String,
        onCopy: @Sendable (_ uploadID: String) async throws(BlobError) -> Void,
        onProgress: @escaping @Sendable (Int64) -> Void
    ) async throws(BlobError) -> PutOutcome {
        var metadata = metadata
        metadata.user[BlobMetadata.sha256Name] = sha256
        let headers = try MetadataHeaders.headers(for: metadata)
        if let info = try await store.head(key) { return .existed(info) }
        let (parts, size) = parts.withLock { $0 }
        guard size > 0 else { throw BlobError(.invalid, "the object has no pieces") }
        _ = try await expectingUpload { () throws(BlobError) in
            try await upload.complete(parts, ifAbsent: false) { $0.sizeBytes == size }
        }
        isComplete.withLock { $0 = true }
        guard let whole = try await store.head(upload.key), whole.sizeBytes == size else {
            throw BlobError(.storeFailed, "\(store.name) has not kept all pieces of '\(key)'", isTransient: true)
        }
        return try await UploadArea.explaining { () throws(BlobError) in
            try await expectingUpload { () throws(BlobError) in
                try await copy(size, to: key, headers, sha256, onCopy, onProgress)
            }
        }
    }

    /// Makes calls for an upload that another process removes only if it takes this one for dead. The next attempt may succeed.
    private func expectingUpload<Value>(
        _ calls: () async throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        do throws(BlobError) { return try await calls() } catch {
            guard error.code == .notFound else { throw error }
            throw BlobError(.storeFailed, "\(store.name) has lost the upload: \(error.message)", isTransient: true)
        }
    }

    private func copy(
        _ sizeBytes: Int64, to key: String, _ headers: [(name: String, value: String)], _ sha256: String,
        _ onCopy: (_ uploadID: String) async throws(BlobError) -> Void,
        _ onProgress: @escaping @Sendable (Int64) -> Void
    ) async throws(BlobError) -> PutOutcome {
        let options = store.client.configuration.options
        let plan = try PartPlan(sizeBytes: sizeBytes, wantedBytes: options.partSizeBytes)
        let copying = try await MultipartUpload.begin(key, headers: headers, in: store)
        do throws(BlobError) {
            try await onCopy(copying.id)
            let (source, progress) = (upload.key, PartsProgress(onProgress))
            let copied = try await plan.forEach(atOnce: options.parallelParts) { () throws(BlobError) in
            } work: { number, _ throws(BlobError) in
                let range = plan.range(number)
                let part = try await copying.copy(number, from: source, range)
                progress.part(number, range.count)
                return part
            }
            let outcome = try await copying.complete(copied, ifAbsent: true) { $0.metadata.sha256 == sha256 }
            if outcome != .stored { await abort(copying) }
            return outcome
        } catch {
            await abort(copying)
            throw error
        }
    }

    private func abort(_ copying: MultipartUpload) async {
        if await !copying.abort() { hasLeftCopy.withLock { $0 = true } }
    }

    /// Aborts the upload and removes the object that it may have become, also if the task is cancelled.
    ///
    /// - Returns: whether nothing of it is left. Otherwise it has to be removed later.
    package func discard() async -> Bool {
        await Task {
            let isGone = isComplete.withLock { $0 } ? true : await upload.abort()
            do throws(BlobError) { try await store.delete(upload.key) } catch { return false }
            return isGone && !hasLeftCopy.withLock { $0 }
        }.value
    }
}

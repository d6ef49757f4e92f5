import Crypto
import HTTP
import JSON
import Synchronization

/// The place in a bucket where objects are made piece by piece, below `.tgpipe/uploads/` and the store's prefix. An object that is
/// complete is copied from there to its key by the server.
package struct UploadArea: Sendable {
    let store: S3Store
    /// The size up to which the server copies an object in one call, which leaves nothing behind if it fails.
    var mostBytesOfACopy: Int64 = 5 << 30

    init(store: S3Store) { self.store = store }

    /// The store's name and its server, because two servers may have a bucket of one name.
    package var place: String {
        let configuration = store.client.configuration
        return "\(configuration.endpoint.location(of: nil, region: configuration.region).authority)/\(store.name)"
    }

    static let folder = "\(FileStore.ownFolder)/uploads/"

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
    /// - Throws: `.invalid` for another name than 32 digits of lower-case hex, `-`, and 1 to 13 digits of base 36.
    func key(_ name: String) throws(BlobError) -> String {
        guard UploadArea.isName(name) else { throw BlobError(.invalid, "an upload has a name that no upload has") }
        return UploadArea.folder + name
    }

    private static func isName(_ name: some StringProtocol) -> Bool {
        let parts = name.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].count == 32, (1...13).contains(parts[1].count) else { return false }
        func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
        return parts[0].allSatisfy { isDigit($0) || (0x61...0x66).contains($0) }
            && parts[1].allSatisfy { isDigit($0) || (0x61...0x7A).contains($0) }
    }

    /// The smallest piece that S3 takes in front of others.
    package static let leastPieceBytes = Int(S3Configuration.minPartBytes)

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
    /// - Parameter name: 32 digits of lower-case hex, `-`, and 1 to 13 digits of base 36; no other upload has it.
    package func begin(_ name: String) async throws(BlobError) -> StreamedUpload {
        let key = try key(name)
        let upload = try await UploadArea.explaining { () throws(BlobError) in
            try await store.creatingBucket { () throws(BlobError) in
                try await MultipartUpload.begin(key, headers: [], in: store)
            }
        }
        return StreamedUpload(upload, in: self)
    }

    /// Says what to do about a server that lacks what is needed here, or refuses it.
    static func explaining<Value>(_ call: () async throws(BlobError) -> Value) async throws(BlobError) -> Value {
        do throws(BlobError) { return try await call() } catch {
            guard !error.isTransient, [.storeFailed, .refused, .protocolError].contains(error.code) else { throw error }
            let needs = "--to-store needs multipart uploads, and copies of objects within the bucket"
            throw BlobError(
                error.code == .refused ? .refused : .configuration,
                error.code == .refused
                    ? "\(error.message): \(needs), and a key with the rights that docs/media-fetch.md lists"
                    : "\(error.message): \(needs). Leave out --to-store, and use blob-put.")
        }
    }

    /// Aborts an upload of the area, and removes the object that it may have become.
    ///
    /// - Parameter uploadID: the upload's id; nil aborts all uploads with this name.
    /// - Throws: the failure because of which something of it may be left.
    package func remove(_ name: String, uploadID: String?) async throws(BlobError) {
        let key = try key(name)
        let ids = if let uploadID { [uploadID] } else { try await uploads(of: name).compactMap(\.uploadID) }
        var failure: BlobError?
        for id in ids { failure = await MultipartUpload(store: store, key: key, id: id).abort() ?? failure }
        try await store.remove(key)
        if let failure { throw failure }
    }

    /// Aborts an upload that copies an object of the area to its key.
    ///
    /// - Throws: the failure because of which something of it may be left.
    package func abortCopy(to key: String, uploadID: String) async throws(BlobError) {
        if let failure = await MultipartUpload(store: store, key: key, id: uploadID).abort() { throw failure }
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
            [("uploads", ""), ("prefix", prefix), ("max-uploads", "200")], root: "ListMultipartUploadsResult", "Upload",
            "Initiated",
            markers: [("NextKeyMarker", "key-marker"), ("NextUploadIdMarker", "upload-id-marker")]
        ).filter { $0.uploadID != nil && name ?? $0.name == $0.name }
    }

    private func objects() async throws(BlobError) -> [Content] {
        try await pages(
            [("list-type", "2"), ("prefix", try prefix()), ("max-keys", "200")], root: "ListBucketResult", "Contents",
            "LastModified",
            markers: [("NextContinuationToken", "continuation-token")])
    }

    private func prefix() throws(BlobError) -> String { String(try store.fullKey("\(UploadArea.folder)x").dropLast()) }

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
    private let area: UploadArea
    private var store: S3Store { area.store }
    private let parts = Mutex<(parts: [MultipartUpload.Part], bytes: Int64)>(([], 0))
    private let hasLeftCopy = Mutex(false)
    private let isComplete = Mutex(false)

    init(_ upload: MultipartUpload, in area: UploadArea) { (self.upload, self.area) = (upload, area) }

    /// The upload's id; nil if the server may have begun another upload of its name, so that all of them have to be looked for.
    package var id: String? { upload.mayHaveTwin ? nil : upload.id }

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
            sent.parts.append(part)
            sent.bytes += Int64(piece.count)
        }
    }

    /// Makes the object of its pieces, under its key, unless there is one already.
    ///
    /// - Parameters:
    ///   - sha256: the SHA-256 of all bytes, in hex, which is kept in the metadata.
    ///   - onCopy: gets the id of the upload that copies an object of over 5 GiB to its key, before any byte is copied.
    ///   - onProgress: gets the number of bytes copied so far, on any thread. Up to 5 GiB are copied at once.
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
                let source = CopySource(key: upload.key, sizeBytes: size, etag: whole.etag)
                let outcome =
                    if size <= area.mostBytesOfACopy {
                        try await copyAtOnce(source, to: key, headers, sha256)
                    } else {
                        try await copyInParts(source, to: key, headers, sha256, onCopy, onProgress)
                    }
                if outcome == .stored { try await check(key, size, sha256) }
                onProgress(size)
                return outcome
            }
        }
    }

    /// Checks an object that was copied, and removes it if it is not whole.
    private func check(_ key: String, _ sizeBytes: Int64, _ sha256: String) async throws(BlobError) {
        let found = try await store.head(key)
        guard found?.sizeBytes != sizeBytes else { return }
        // Another writer's object is left alone.
        if found?.metadata.sha256 == sha256 { try await store.remove(key) }
        throw BlobError(
            .storeFailed, "\(store.name) has copied \(found?.sizeBytes ?? 0) of \(sizeBytes) bytes to '\(key)'",
            isTransient: true)
    }

    private func copyAtOnce(
        _ source: CopySource, to key: String, _ headers: [(name: String, value: String)], _ sha256: String
    ) async throws(BlobError) -> PutOutcome {
        var call = S3Call("PUT", key: try store.fullKey(key))
        call.headers = try source.headers(in: store) + [("x-amz-metadata-directive", "REPLACE")] + headers
        call.copiedBytes = source.sizeBytes
        return try await store.sendUnlessThere(call, key: key, ifAbsent: true) { $0.metadata.sha256 == sha256 }
    }

    /// Makes calls for an upload that another process removes only if it takes this one for dead. The next attempt may succeed.
    private func expectingUpload<Value>(
        _ calls: () async throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        do throws(BlobError) { return try await calls() } catch {
            guard error.code == .notFound else { throw error }
            throw BlobError(.notFound, "\(store.name) has lost the upload: \(error.message)", isTransient: true)
        }
    }

    private func copyInParts(
        _ source: CopySource, to key: String, _ headers: [(name: String, value: String)], _ sha256: String,
        _ onCopy: (_ uploadID: String) async throws(BlobError) -> Void,
        _ onProgress: @escaping @Sendable (Int64) -> Void
    ) async throws(BlobError) -> PutOutcome {
        let options = store.client.configuration.options
        let plan = try PartPlan(sizeBytes: source.sizeBytes, wantedBytes: options.partSizeBytes)
        let copying = try await MultipartUpload.begin(key, headers: headers, in: store)
        do throws(BlobError) {
            try await onCopy(copying.id)
            let progress = PartsProgress(onProgress)
            let copied = try await plan.forEach(atOnce: options.parallelParts) { () throws(BlobError) in
            } work: { number, _ throws(BlobError) in
                let range = plan.range(number)
                let part = try await copying.copy(number, from: source, plan.count == 1 ? nil : range)
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
        if await copying.abort() != nil { hasLeftCopy.withLock { $0 = true } }
    }

    /// Aborts the upload and removes the object that it may have become, also if the task is cancelled.
    ///
    /// - Returns: whether nothing of it is left. Otherwise it has to be removed later.
    package func discard() async -> Bool {
        await Task {
            do throws(BlobError) {
                if upload.mayHaveTwin {
                    try await area.remove(String(upload.key.dropFirst(UploadArea.folder.count)), uploadID: nil)
                } else {
                    if !isComplete.withLock({ $0 }), let failure = await upload.abort() { throw failure }
                    try await store.remove(upload.key)
                }
            } catch { return false }
            return !hasLeftCopy.withLock { $0 }
        }.value
    }
}

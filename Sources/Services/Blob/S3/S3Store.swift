import Crypto
import HTTP
import JSON
import System
import Synchronization

/// Stores objects in a bucket, or below a prefix in it.
struct S3Store: BlobStore {
    let client: S3Client

    init(_ configuration: S3Configuration) { client = S3Client(configuration) }

    init(client: S3Client) { self.client = client }

    private var configuration: S3Configuration { client.configuration }

    var name: String {
        "s3://" + configuration.bucket + (configuration.prefix.isEmpty ? "" : "/" + configuration.prefix)
    }

    func localPath(_ key: String) -> String? { nil }

    var uploads: UploadArea? { UploadArea(store: self) }

    func head(_ key: String) async throws(BlobError) -> BlobInfo? {
        var call = S3Call("HEAD", key: try fullKey(key))
        call.expected = [404]
        let answer = try await client.send(call)
        guard answer.status != 404 else {
            guard client.hasBucket || answer.xml.isError else { throw BlobError.noS3Server(at: client.server) }
            guard answer.xml.text("Code") == "NoSuchBucket", !configuration.options.createsBucket else { return nil }
            throw BlobError.noSuchBucket(configuration.bucket, at: client.server)
        }
        return try info(key, answer.response.head)
    }

    func get(
        _ key: String, to path: String, onProgress: (@Sendable (Int64) -> Void)?
    ) async throws(BlobError) -> BlobInfo {
        try checkNotReserved(key)
        let download = S3Download(to: path, onProgress: onProgress)
        defer { download.discard() }
        var call = S3Call("GET", key: try fullKey(key))
        call.download = download
        let answer: S3Answer
        do throws(BlobError) {
            answer = try await client.send(call)
        } catch {
            throw error.code == .notFound ? BlobError.notFound(key, in: name) : error
        }
        let info = try info(key, answer.response.head)
        let store = name
        try await onOwnThread { (_) throws(BlobError) in try download.finish(info, store: store) }
        return info
    }

    func presignedURL(
        _ key: String, expires: Duration, contentType: String?, fileName: String?
    ) throws(BlobError) -> String? {
        guard (1...SigV4.maxPresignSeconds).contains(expires.components.seconds) else {
            throw BlobError(.invalid, "a presigned URL must be valid for one second to seven days")
        }
        try checkNotReserved(key)
        var query: [(name: String, value: String)] = []
        if let contentType {
            try MetadataHeaders.checkContentType(contentType)
            query.append(("response-content-type", contentType))
        }
        if let fileName, !fileName.isEmpty {
            query.append(("response-content-disposition", ContentDisposition.attachment(ObjectName.harmless(fileName))))
        }
        return client.presignedURL(key: try fullKey(key), query: query, expires: expires)
    }

    func delete(_ key: String) async throws(BlobError) {
        try checkNotReserved(key)
        try await remove(key)
    }

    /// Deletes any object, also one that is the store's own.
    func remove(_ key: String) async throws(BlobError) {
        do throws(BlobError) { _ = try await client.send(S3Call("DELETE", key: try fullKey(key))) } catch {
            // A 404 without an answer of S3 has another code: a proxy knows nothing of objects.
            guard [.notFound, .noSuchBucket].contains(error.code) else { throw error }
        }
    }

    private func checkNotReserved(_ key: String) throws(BlobError) {
        guard !key.hasPrefix("\(FileStore.ownFolder)/") else { throw BlobError.reserved }
    }

    func fullKey(_ key: String) throws(BlobError) -> String {
        let full = configuration.prefix.isEmpty ? key : configuration.prefix + "/" + key
        try ObjectKey.check(key)
        try ObjectKey.check(full)
        return full
    }

    private func info(_ key: String, _ head: HTTPHead) throws(BlobError) -> BlobInfo {
        guard let size = head.contentLength else {
            throw BlobError(.protocolError, "\(name) did not report the size of '\(key)'")
        }
        return BlobInfo(
            key: key, sizeBytes: size, metadata: MetadataHeaders.metadata(in: head.headers.fields),
            etag: head.headers["ETag"].map { $0.filter { $0 != "\"" } },
            lastModified: head.date("Last-Modified"))
    }
}

extension S3Store {
    /// The size from which a body is sent only after a check that the object does not exist.
    private static let worthAskingBytes: Int64 = 1 << 20
    /// The most bytes that S3 takes in one request.
    private static let maxWholeBytes: Int64 = 5 << 30

    func put(
        _ source: LocalFile, key: String, metadata: BlobMetadata, sha256: String?, ifAbsent: Bool,
        onProgress: (@Sendable (Int64) -> Void)?
    ) async throws(BlobError) -> PutOutcome {
        _ = try fullKey(key)
        try checkNotReserved(key)
        _ = try MetadataHeaders.headers(for: metadata)
        guard sha256.map(SHA256.isHexDigest) ?? true else {
            throw BlobError(.invalid, "a SHA-256 must have 64 digits of lower-case hex")
        }
        if ifAbsent, !client.isConditional || source.sizeBytes >= S3Store.worthAskingBytes,
            let info = try await head(key)
        {
            return .existed(info)
        }
        // The server checks bodies that are sent whole and signed. A file in parts is checked before the last step.
        let options = client.configuration.options
        let isWhole = source.sizeBytes < min(options.multipartThresholdBytes, S3Store.maxWholeBytes)
        let digest: String
        if let sha256, options.signsPayload || !isWhole {
            digest = sha256
        } else {
            digest = try await source.sha256()
            guard sha256 == nil || sha256 == digest else { throw BlobError.changed(source) }
        }
        var metadata = metadata
        metadata.user[BlobMetadata.sha256Name] = digest
        let upload = S3Upload(
            source: source, key: key, headers: try MetadataHeaders.headers(for: metadata), sha256: digest,
            ifAbsent: ifAbsent, onProgress: onProgress)
        return try await creatingBucket { () throws(BlobError) in
            isWhole ? try await putWhole(upload) : try await FileParts.run(upload, in: self)
        }
    }

    private func putWhole(_ upload: S3Upload) async throws(BlobError) -> PutOutcome {
        var call = S3Call("PUT", key: try fullKey(upload.key))
        call.headers = upload.headers
        call.body = .file(FileRange(descriptor: upload.source.descriptor, offset: 0, count: upload.source.sizeBytes))
        call.payloadHash = client.configuration.options.signsPayload ? upload.sha256 : SigV4.unsignedPayload
        call.onUpload = upload.onProgress
        do throws(BlobError) {
            return try await sendUnlessThere(
                call, key: upload.key, ifAbsent: upload.ifAbsent, isOurs: upload.isAsExpected)
        } catch {
            throw error.code == .corrupt ? BlobError.changed(upload.source) : error
        }
    }

    /// Sends the call that makes the object appear, if wanted on condition that there is none yet.
    ///
    /// - Parameter isOurs: see `MultipartUpload.complete`.
    func sendUnlessThere(
        _ call: S3Call, key: String, ifAbsent: Bool, isOurs: @Sendable (BlobInfo) -> Bool
    ) async throws(BlobError) -> PutOutcome {
        // A conflict means that another writer is putting the object. It ends with that writer's object, or with
        // none.
        for round in 1...5 {
            var call = call
            call.isConditional = ifAbsent && client.takesConditions(call)
            let answer = try await client.send(call)
            if (200..<300).contains(answer.status) { return .stored }
            if answer.status == 400 || answer.status == 501 { client.forgetConditions(call) }
            if let info = try await head(key) {
                return answer.isRepeated && isOurs(info) ? .stored : .existed(info)
            }
            // Some servers take the condition of a copy for one about its source.
            if call.copiedBytes != nil, answer.status != 409 { client.forgetConditions(call) }
            try await client.backOff(after: round)
        }
        throw BlobError(.busy, "another upload of '\(key)' to \(name) is still running", isTransient: true)
    }

    /// Runs a first call to a bucket, and once more after making the bucket if it is missing and that is wanted.
    func creatingBucket<Value: Sendable>(
        _ put: () async throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        do throws(BlobError) {
            return try await put()
        } catch {
            guard error.code == .noSuchBucket, client.configuration.options.createsBucket else { throw error }
            try await client.createBucket()
            return try await put()
        }
    }
}

/// Describes an upload, whether it is sent whole or in parts.
struct S3Upload: Sendable {
    var source: LocalFile
    var key: String
    /// The headers for content type, file name and metadata.
    var headers: [(name: String, value: String)]
    /// The SHA-256 of the whole file, in hex.
    var sha256: String
    var ifAbsent: Bool
    var onProgress: (@Sendable (Int64) -> Void)?

    /// Returns whether an object is this file.
    @Sendable func isAsExpected(_ info: BlobInfo) -> Bool { info.metadata.sha256 == sha256 }
}

/// Writes an object's bytes to a temporary file as they arrive, checks them, and publishes the file.
///
/// `@unchecked Sendable`: used by the HTTP client's thread while the caller waits, and by the caller afterwards.
final class S3Download: @unchecked Sendable {
    private let path: String
    private let onProgress: (@Sendable (Int64) -> Void)?
    private var file: TemporaryObject?
    private var hash = SHA256()
    private var received: Int64 = 0
    private var isRefused = false
    /// The body of an answer other than 200: an XML error.
    private(set) var refusal: [UInt8] = []

    init(to path: String, onProgress: (@Sendable (Int64) -> Void)?) {
        self.path = path
        self.onProgress = onProgress
    }

    /// Begins an attempt, and drops the bytes of an earlier one.
    func restart() throws(BlobError) {
        file = try TemporaryObject(in: parentFolder(path))
        hash = SHA256()
        received = 0
        refusal = []
    }

    /// Removes the temporary file at once: the client's thread may keep this object for a moment longer.
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

    /// Checks the bytes against `info`, and publishes the file.
    ///
    /// - Throws: `.unreachable` for a wrong length, `.corrupt` for a wrong SHA-256, `.localIO`.
    func finish(_ info: BlobInfo, store: String) throws(BlobError) {
        // An unwanted file is removed now, not when the client's thread releases this object.
        defer { file = nil }
        guard received == info.sizeBytes else {
            throw BlobError(.unreachable, "\(store) sent \(received) of \(info.sizeBytes) bytes", isTransient: true)
        }
        if let expected = info.metadata.sha256, expected != hash.finish() {
            throw BlobError.damaged(info.key, in: store)
        }
        try file?.publish(as: path)
    }
}

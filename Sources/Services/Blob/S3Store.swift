import HTTP
import JSON

/// A bucket, or what is under a prefix in it.
struct S3Store: BlobStore {
    let client: S3Client

    init(_ configuration: S3Configuration) { client = S3Client(configuration) }

    init(client: S3Client) { self.client = client }

    private var configuration: S3Configuration { client.configuration }

    var name: String {
        "s3://" + configuration.bucket + (configuration.prefix.isEmpty ? "" : "/" + configuration.prefix)
    }

    func localPath(_ key: String) -> String? { nil }

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
            throw BlobError(.invalid, "a presigned URL lives between one second and seven days")
        }
        var query: [(name: String, value: String)] = []
        if let contentType {
            try MetadataHeaders.checkContentType(contentType)
            query.append(("response-content-type", contentType))
        }
        if let fileName, !fileName.isEmpty {
            query.append(("response-content-disposition", ContentDisposition.attachment(fileName)))
        }
        return client.presignedURL(key: try fullKey(key), query: query, expires: expires)
    }

    func delete(_ key: String) async throws(BlobError) {
        var call = S3Call("DELETE", key: try fullKey(key))
        call.expected = [404]
        _ = try await client.send(call)
    }

    func fullKey(_ key: String) throws(BlobError) -> String {
        let full = configuration.prefix.isEmpty ? key : configuration.prefix + "/" + key
        try ObjectKey.check(key)
        try ObjectKey.check(full)
        return full
    }

    private func info(_ key: String, _ head: HTTPHead) throws(BlobError) -> BlobInfo {
        guard let size = head.contentLength else {
            throw BlobError(.protocolError, "\(name) does not say how large '\(key)' is")
        }
        return BlobInfo(
            key: key, sizeBytes: size, metadata: MetadataHeaders.metadata(in: head.headers.fields),
            etag: head.headers["ETag"].map { $0.filter { $0 != "\"" } },
            lastModified: head.headers["Last-Modified"].flatMap { Timestamp(httpDate: $0) })
    }
}

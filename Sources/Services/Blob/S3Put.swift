import Crypto
import HTTP

extension S3Store {
    /// Bodies from this size on are not sent before it is known that the object is not there.
    private static let worthAskingBytes: Int64 = 1 << 20
    /// S3 takes no more in one request.
    private static let maxWholeBytes: Int64 = 5 << 30

    func put(
        _ source: LocalFile, key: String, metadata: BlobMetadata, sha256: String?, ifAbsent: Bool,
        onProgress: (@Sendable (Int64) -> Void)?
    ) async throws(BlobError) -> PutOutcome {
        _ = try fullKey(key)
        _ = try MetadataHeaders.headers(for: metadata)
        guard sha256.map(SHA256.isHexDigest) ?? true else {
            throw BlobError(.invalid, "a SHA-256 is 64 digits of lower-case hex")
        }
        if ifAbsent, !client.isConditional || source.sizeBytes >= S3Store.worthAskingBytes,
            let info = try await head(key)
        {
            return .existed(info)
        }
        // What is sent whole and signed is checked by the server; in parts, it is checked before the last step.
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
            isWhole ? try await putWhole(upload) : try await MultipartUpload.run(upload, in: self)
        }
    }

    private func putWhole(_ upload: S3Upload) async throws(BlobError) -> PutOutcome {
        var call = S3Call("PUT", key: try fullKey(upload.key))
        call.headers = upload.headers
        call.body = .file(FileRange(descriptor: upload.source.descriptor, offset: 0, count: upload.source.sizeBytes))
        call.payloadHash = client.configuration.options.signsPayload ? upload.sha256 : SigV4.unsignedPayload
        call.onUpload = upload.onProgress
        do throws(BlobError) {
            return try await sendUnlessThere(call, upload)
        } catch {
            throw error.code == .corrupt ? BlobError.changed(upload.source) : error
        }
    }

    /// Sends what makes the object appear, so that one that is there already is left alone.
    func sendUnlessThere(_ call: S3Call, _ upload: S3Upload) async throws(BlobError) -> PutOutcome {
        // A conflict means that another writer is at it; that ends with that writer's object, or with nothing.
        for round in 1...5 {
            var call = call
            call.isConditional = upload.ifAbsent && client.isConditional
            let answer = try await client.send(call)
            if (200..<300).contains(answer.status) { return .stored }
            if answer.status == 400 || answer.status == 501 { client.forgetConditions() }
            if let info = try await head(upload.key) {
                let isOurs = answer.isRepeated && info.metadata.sha256 == upload.sha256
                return isOurs ? .stored : .existed(info)
            }
            try await client.backOff(after: round)
        }
        throw BlobError(.busy, "another upload of '\(upload.key)' to \(name) does not end", isTemporary: true)
    }

    private func creatingBucket(
        _ put: () async throws(BlobError) -> PutOutcome
    ) async throws(BlobError) -> PutOutcome {
        do throws(BlobError) {
            return try await put()
        } catch {
            guard error.code == .noSuchBucket, client.configuration.options.createsBucket else { throw error }
            try await client.createBucket()
            return try await put()
        }
    }
}

/// What is to be stored, the same for a whole body and for parts.
struct S3Upload: Sendable {
    var source: LocalFile
    var key: String
    /// Type, name and metadata.
    var headers: [(name: String, value: String)]
    /// Of the whole file, in hex.
    var sha256: String
    var ifAbsent: Bool
    var onProgress: (@Sendable (Int64) -> Void)?
}

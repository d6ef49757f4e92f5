import Crypto
import HTTP
import JSON

/// Represents a multipart upload that was begun: its parts become an object when it is completed, and are removed when it is
/// aborted. Without either, they stay in the bucket, invisible, and cost money.
struct MultipartUpload: Sendable {
    let store: S3Store
    /// The key of the object, without the store's prefix.
    let key: String
    let id: String
    /// Is true if the call that began the upload was repeated: the server may have begun another one, whose id did not arrive.
    var mayHaveTwin = false

    struct Part: Sendable {
        var number: Int
        var etag: String
    }

    /// Begins an upload.
    ///
    /// - Parameter headers: those of the object: content type, file name and metadata.
    static func begin(
        _ key: String, headers: [(name: String, value: String)], in store: S3Store
    ) async throws(BlobError) -> MultipartUpload {
        var call = S3Call("POST", key: try store.fullKey(key))
        call.query = [("uploads", "")]
        call.headers = headers
        let answer = try await store.client.send(call)
        guard let id = answer.xml.text("UploadId"), !id.isEmpty else {
            throw BlobError(.protocolError, "\(store.name) started a multipart upload without an upload id")
        }
        return MultipartUpload(store: store, key: key, id: id, mayHaveTwin: answer.isRepeated)
    }

    /// Sends a part.
    ///
    /// - Parameters:
    ///   - number: counts from 1. A part replaces an earlier one with its number.
    ///   - hash: the SHA-256 of the body in hex, or `UNSIGNED-PAYLOAD`.
    func put(
        _ number: Int, _ body: HTTPBody, hash: String, onUpload: (@Sendable (Int64) -> Void)? = nil
    ) async throws(BlobError) -> Part {
        var call = try partCall(number)
        call.body = body
        call.payloadHash = hash
        call.onUpload = onUpload
        return try part(number, try await store.client.send(call).response.headers["ETag"])
    }

    /// Lets the server copy another object of the bucket, or a range of it, into a part.
    ///
    /// - Parameter range: nil for the whole object. S3 refuses ranges of small objects.
    func copy(
        _ number: Int, from source: CopySource, _ range: (offset: Int64, count: Int64)?
    ) async throws(BlobError) -> Part {
        var call = try partCall(number)
        call.headers = try source.headers(in: store)
        call.copiedBytes = range?.count ?? source.sizeBytes
        if let range {
            call.headers.append(("x-amz-copy-source-range", "bytes=\(range.offset)-\(range.offset + range.count - 1)"))
        }
        return try part(number, try await store.client.send(call).xml.text("ETag"))
    }

    private func part(_ number: Int, _ etag: String?) throws(BlobError) -> Part {
        guard let etag, !etag.isEmpty else {
            throw BlobError(.protocolError, "\(store.name) accepted part \(number) without an ETag")
        }
        return Part(number: number, etag: etag)
    }

    /// Makes the object of its parts.
    ///
    /// - Parameters:
    ///   - ifAbsent: whether an existing object is kept.
    ///   - isOurs: tells whether an object at the key is the one that these parts make. A call whose answer was lost may have
    ///     made it.
    func complete(
        _ parts: [Part], ifAbsent: Bool, isOurs: @Sendable (BlobInfo) -> Bool
    ) async throws(BlobError) -> PutOutcome {
        let list = parts.sorted { $0.number < $1.number }
            .map { "<Part><PartNumber>\($0.number)</PartNumber><ETag>\(XMLAnswer.escaped($0.etag))</ETag></Part>" }
        let document = Array(
            "<CompleteMultipartUpload>\(list.joined())</CompleteMultipartUpload>".utf8)
        var call = try self.call("POST", [("uploadId", id)])
        call.headers = [("content-type", "application/xml")]
        call.body = .bytes(document)
        call.payloadHash = SHA256.hexDigest(document)
        do throws(BlobError) {
            return try await store.sendUnlessThere(call, key: key, ifAbsent: ifAbsent, isOurs: isOurs)
        } catch {
            // A repeated request finds no upload when the first one completed it.
            guard error.code == .notFound, let info = try await store.head(key), isOurs(info) else { throw error }
            return .stored
        }
    }

    /// Aborts the upload, in a task of its own, which survives the cancellation that may have led here. It is
    /// awaited.
    ///
    /// - Returns: the failure; nil if the upload is gone.
    @discardableResult
    func abort() async -> BlobError? {
        await Task { () -> BlobError? in
            do throws(BlobError) {
                _ = try await store.client.send(try call("DELETE", [("uploadId", id)]))
                return nil
            } catch {
                // A 404 without an answer of S3 has another code: a proxy knows nothing of uploads.
                return [.notFound, .noSuchBucket, .invalid].contains(error.code) ? nil : error
            }
        }.value
    }

    private func partCall(_ number: Int) throws(BlobError) -> S3Call {
        try call("PUT", [("partNumber", String(number)), ("uploadId", id)])
    }

    private func call(_ method: String, _ query: [(name: String, value: String)]) throws(BlobError) -> S3Call {
        var call = S3Call(method, key: try store.fullKey(key))
        call.query = query
        return call
    }
}

/// Names an object of the bucket that is copied by the server.
struct CopySource: Sendable {
    /// The key, without the store's prefix.
    var key: String
    var sizeBytes: Int64
    /// The ETag of the object that is meant, without quotation marks; nil if the server gives none.
    var etag: String?

    func headers(in store: S3Store) throws(BlobError) -> [(name: String, value: String)] {
        let path = "\(store.client.configuration.bucket)/\(try store.fullKey(key))"
        return [("x-amz-copy-source", "/" + percentEncoded(path, keeping: "/"))]
            + (etag.map { [("x-amz-copy-source-if-match", "\"\($0)\"")] } ?? [])
    }
}

/// Divides a file into parts of equal size, except the last.
struct PartPlan: Equatable {
    static let maxParts: Int64 = 10_000

    let sizeBytes: Int64
    let partBytes: Int64

    /// - Parameter wantedBytes: the part size; a larger one is chosen when the file would have more parts than S3
    ///   takes.
    /// - Throws: `.tooLarge` for more than 10,000 parts of the largest size.
    init(sizeBytes: Int64, wantedBytes: Int64) throws(BlobError) {
        let mebibyte: Int64 = 1 << 20
        let least = sizeBytes / PartPlan.maxParts + (sizeBytes % PartPlan.maxParts > 0 ? 1 : 0)
        self.sizeBytes = sizeBytes
        guard least <= S3Configuration.maxPartBytes else {
            throw BlobError(.tooLarge, "a file of \(sizeBytes) bytes is larger than S3 accepts")
        }
        partBytes = max(wantedBytes, (least + mebibyte - 1) / mebibyte * mebibyte)
    }

    var count: Int { max(1, Int((sizeBytes + partBytes - 1) / partBytes)) }

    /// Returns the range of a part.
    ///
    /// - Parameter number: counts from 1, as S3 does.
    func range(_ number: Int) -> (offset: Int64, count: Int64) {
        let offset = Int64(number - 1) * partBytes
        return (offset, min(partBytes, sizeBytes - offset))
    }
}

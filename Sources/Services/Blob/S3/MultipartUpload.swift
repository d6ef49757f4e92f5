import Crypto
import HTTP
import Synchronization

/// Uploads a file in parts, several at a time, and completes the upload, or aborts it so that no invisible parts stay
/// in the bucket and cost money.
struct MultipartUpload: Sendable {
    private let store: S3Store
    private let upload: S3Upload
    private let plan: PartPlan
    private let id: String
    private let progress: PartsProgress

    private struct StoredPart: Sendable {
        var number: Int
        var etag: String
    }

    static func run(_ upload: S3Upload, in store: S3Store) async throws(BlobError) -> PutOutcome {
        let plan = try PartPlan(
            sizeBytes: upload.source.sizeBytes, wantedBytes: store.client.configuration.options.partSizeBytes)
        var call = S3Call("POST", key: try store.fullKey(upload.key))
        call.query = [("uploads", "")]
        call.headers = upload.headers
        guard let id = try await store.client.send(call).xml.text("UploadId"), !id.isEmpty else {
            throw BlobError(.protocolError, "\(store.name) started a multipart upload without an upload id")
        }
        let multipart = MultipartUpload(
            store: store, upload: upload, plan: plan, id: id, progress: PartsProgress(upload.onProgress))
        do throws(BlobError) {
            let outcome = try await multipart.complete(try await multipart.sendParts())
            if outcome != .stored { await multipart.abort() }
            return outcome
        } catch {
            await multipart.abort()
            throw error
        }
    }

    /// Sends all parts. They are hashed in order, one ahead of those that are being sent.
    private func sendParts() async throws(BlobError) -> [StoredPart] {
        let hasher = PartHasher(upload.source, plan, expecting: upload.sha256)
        do {
            let parts = try await withThrowingTaskGroup(of: StoredPart.self) { group in
                var stored: [StoredPart] = []
                for number in 1...plan.count {
                    let hash = try await hasher.next()
                    if number > store.client.configuration.options.parallelParts, let part = try await group.next() {
                        stored.append(part)
                    }
                    group.addTask { try await send(number, hash) }
                }
                for try await part in group { stored.append(part) }
                return stored
            }
            guard hasher.isAsExpected() else { throw BlobError.changed(upload.source) }
            return parts
        } catch let error as BlobError {
            throw error
        } catch {
            throw BlobError(.cancelled, "cancelled")
        }
    }

    private func send(_ number: Int, _ hash: String) async throws(BlobError) -> StoredPart {
        let range = plan.range(number)
        var call = try self.call("PUT", [("partNumber", String(number)), ("uploadId", id)])
        call.body = .file(
            FileRange(descriptor: upload.source.descriptor, offset: range.offset, count: range.count))
        call.payloadHash = store.client.configuration.options.signsPayload ? hash : SigV4.unsignedPayload
        call.onUpload = { progress.part(number, $0) }
        do throws(BlobError) {
            let answer = try await store.client.send(call)
            guard let etag = answer.response.headers["ETag"] else {
                throw BlobError(.protocolError, "\(store.name) accepted part \(number) without an ETag")
            }
            return StoredPart(number: number, etag: etag)
        } catch {
            throw error.code == .corrupt ? BlobError.changed(upload.source) : error
        }
    }

    private func complete(_ parts: [StoredPart]) async throws(BlobError) -> PutOutcome {
        let list = parts.sorted { $0.number < $1.number }
            .map { "<Part><PartNumber>\($0.number)</PartNumber><ETag>\(XMLAnswer.escaped($0.etag))</ETag></Part>" }
        let document = Array(
            "<CompleteMultipartUpload>\(list.joined())</CompleteMultipartUpload>".utf8)
        var call = try self.call("POST", [("uploadId", id)])
        call.headers = [("content-type", "application/xml")]
        call.body = .bytes(document)
        call.payloadHash = SHA256.hexDigest(document)
        do throws(BlobError) {
            return try await store.sendUnlessThere(call, upload)
        } catch {
            // A repeated request finds no upload when the first one completed it.
            guard error.code == .notFound,
                let sha256 = try await store.head(upload.key)?.metadata.sha256, sha256 == upload.sha256
            else { throw error }
            return .stored
        }
    }

    /// Aborts the upload, in a task of its own, which survives the cancellation that may have led here. It is
    /// awaited.
    private func abort() async {
        await Task {
            _ = try? await store.client.send(try call("DELETE", [("uploadId", id)]))
        }.value
    }

    private func call(_ method: String, _ query: [(name: String, value: String)]) throws(BlobError) -> S3Call {
        var call = S3Call(method, key: try store.fullKey(upload.key))
        call.query = query
        return call
    }
}

/// Adds up the bytes that all parts have sent. A part that starts over loses its bytes; the reported sum waits for it
/// and never falls.
final class PartsProgress: Sendable {
    private let report: (@Sendable (Int64) -> Void)?
    private let state = Mutex<(sent: [Int: Int64], sum: Int64, highest: Int64)>(([:], 0, 0))

    init(_ report: (@Sendable (Int64) -> Void)?) { self.report = report }

    func part(_ number: Int, _ sent: Int64) {
        guard let report else { return }
        let news: Int64? = state.withLock { state in
            state.sum += sent - (state.sent.updateValue(sent, forKey: number) ?? 0)
            guard state.sum > state.highest else { return nil }
            state.highest = state.sum
            return state.sum
        }
        if let news { report(news) }
    }
}

/// Hashes a file part by part and, unless its hash is known already, as a whole in the same read.
///
/// Used by one task at a time.
final class PartHasher: @unchecked Sendable {
    private let source: LocalFile
    private let plan: PartPlan
    private var number = 0
    private let sha256: String
    private let isKnown: Bool
    private var whole = SHA256()
    private var part = SHA256()

    /// - Parameter sha256: the hash that the whole file should have.
    init(_ source: LocalFile, _ plan: PartPlan, expecting sha256: String) {
        self.source = source
        self.plan = plan
        self.sha256 = sha256
        isKnown = source.isKnown(toHave: sha256)
    }

    /// Returns the SHA-256 of the next part, in hex.
    func next() async throws(BlobError) -> String {
        try await onOwnThread { [self] (cancellation) throws(BlobError) in
            number += 1
            let range = plan.range(number)
            try source.read(from: range.offset, count: range.count, cancellation: cancellation) {
                part.update($0)
                if !isKnown { whole.update($0) }
            }
            return part.finish()
        }
    }

    /// Returns whether the whole file has the expected hash. Call it after the last part.
    func isAsExpected() -> Bool {
        isKnown ? source.isKnown(toHave: sha256) : whole.finish() == sha256
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
        let least = (sizeBytes + PartPlan.maxParts - 1) / PartPlan.maxParts
        self.sizeBytes = sizeBytes
        partBytes = max(wantedBytes, (least + mebibyte - 1) / mebibyte * mebibyte)
        guard partBytes <= S3Configuration.maxPartBytes else {
            throw BlobError(.tooLarge, "a file of \(sizeBytes) bytes is larger than S3 accepts")
        }
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

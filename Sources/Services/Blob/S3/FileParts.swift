import Crypto
import HTTP
import Synchronization

/// Uploads a file in parts, several at a time.
struct FileParts: Sendable {
    private let file: S3Upload
    private let plan: PartPlan
    private let upload: MultipartUpload
    private let progress: PartsProgress

    private var store: S3Store { upload.store }

    /// Uploads a file. If that fails or is interrupted, no parts remain in the bucket.
    static func run(_ file: S3Upload, in store: S3Store) async throws(BlobError) -> PutOutcome {
        let plan = try PartPlan(
            sizeBytes: file.source.sizeBytes, wantedBytes: store.client.configuration.options.partSizeBytes)
        let upload = try await MultipartUpload.begin(file.key, headers: file.headers, in: store)
        let parts = FileParts(
            file: file, plan: plan, upload: upload, progress: PartsProgress(file.onProgress))
        do throws(BlobError) {
            let outcome = try await upload.complete(
                try await parts.send(), ifAbsent: file.ifAbsent, isOurs: file.isAsExpected)
            if outcome != .stored { await upload.abort() }
            return outcome
        } catch {
            await upload.abort()
            throw error
        }
    }

    /// Sends all parts. They are hashed in order, one ahead of those that are being sent.
    private func send() async throws(BlobError) -> [MultipartUpload.Part] {
        let hasher = PartHasher(file.source, plan, expecting: file.sha256)
        let parts = try await plan.forEach(atOnce: store.client.configuration.options.parallelParts) {
            () throws(BlobError) in
            try await hasher.next()
        } work: { number, hash throws(BlobError) in
            try await send(number, hash)
        }
        guard hasher.isAsExpected() else { throw BlobError.changed(file.source) }
        return parts
    }

    private func send(_ number: Int, _ hash: String) async throws(BlobError) -> MultipartUpload.Part {
        let range = plan.range(number)
        do throws(BlobError) {
            return try await upload.put(
                number,
                .file(FileRange(descriptor: file.source.descriptor, offset: range.offset, count: range.count)),
                hash: store.client.configuration.options.signsPayload ? hash : SigV4.unsignedPayload,
                onUpload: { progress.part(number, $0) })
        } catch {
            throw error.code == .corrupt ? BlobError.changed(file.source) : error
        }
    }
}

extension PartPlan {
    /// Works on all parts, several at once.
    ///
    /// - Parameter prepare: is called for one part after the other, before its work begins.
    func forEach<Prepared: Sendable>(
        atOnce limit: Int, prepare: () async throws(BlobError) -> Prepared,
        work: @escaping @Sendable (Int, Prepared) async throws(BlobError) -> MultipartUpload.Part
    ) async throws(BlobError) -> [MultipartUpload.Part] {
        do {
            return try await withThrowingTaskGroup(of: MultipartUpload.Part.self) { group in
                var done: [MultipartUpload.Part] = []
                for number in 1...count {
                    let prepared = try await prepare()
                    if number > limit, let part = try await group.next() { done.append(part) }
                    group.addTask { try await work(number, prepared) }
                }
                for try await part in group { done.append(part) }
                return done
            }
        } catch let error as BlobError {
            throw error
        } catch {
            throw BlobError(.cancelled, "cancelled")
        }
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

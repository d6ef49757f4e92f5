import Crypto
import HTTP
import JSON
import Synchronization
import System

/// Sends S3 calls: signs them, retries transient failures, and adapts to the server's clock and the bucket's region.
final class S3Client: Sendable {
    let configuration: S3Configuration
    private let http: HTTPClient
    private let retry: RetryPolicy
    private let clock: @Sendable () -> Timestamp
    private let learned: Mutex<Learned>

    /// Holds the facts learned from the server's answers.
    private struct Learned {
        var clockAhead = Duration.zero
        var region: String
        /// Is true if the server supports `If-None-Match: *`.
        var isConditional = true
        /// The same for copies, which fewer servers make on a condition.
        var copiesAreConditional = true
        /// Is true if the bucket is known to exist.
        var hasBucket = false
    }

    static let defaultRetry = RetryPolicy(
        attempts: 5,
        backoff: Backoff(first: .milliseconds(200), longest: .seconds(10), jitter: .plusMinus(0.5)))

    init(
        _ configuration: S3Configuration, http: HTTPClient = HTTPClient(userAgent: "tgpipe/\(tgpipeVersion)"),
        retry: RetryPolicy = S3Client.defaultRetry,
        clock: @escaping @Sendable () -> Timestamp = { .now }
    ) {
        self.configuration = configuration
        self.http = http
        self.retry = retry
        self.clock = clock
        learned = Mutex(Learned(region: configuration.region))
    }

    /// The server's host and port, for messages.
    var server: String {
        configuration.endpoint.location(of: nil, region: learned.withLock { $0.region }).authority
    }

    /// Is true if an answer has shown that the bucket exists. Until then, a refused HEAD, which has no reason with it,
    /// is repeated as a GET.
    var hasBucket: Bool { learned.withLock { $0.hasBucket } }

    var isConditional: Bool { learned.withLock { $0.isConditional } }

    /// Returns whether the server takes a call on the condition that there is no object yet.
    func takesConditions(_ call: S3Call) -> Bool {
        learned.withLock { call.copiedBytes == nil ? $0.isConditional : $0.copiesAreConditional }
    }

    func forgetConditions(_ call: S3Call) {
        learned.withLock { learned in
            if call.copiedBytes == nil { learned.isConditional = false } else { learned.copiesAreConditional = false }
        }
    }

    /// Sends a call until its answer is a success or an expected status.
    ///
    /// - Throws: the last attempt's error.
    func send(_ call: S3Call) async throws(BlobError) -> S3Answer {
        var attempt = 0
        var hasAdjustedClock = false
        var hasAdjustedRegion = false
        var isRepeated = false
        while true {
            attempt += 1
            let failure: BlobError
            var wait: Duration?
            switch await verdict(on: call) {
            case .success(let (response, .answer)):
                return S3Answer(response: response, isRepeated: isRepeated)
            case .success(let (_, .skewed(time, _))) where !hasAdjustedClock:
                hasAdjustedClock = true
                learned.withLock { $0.clockAhead = time.elapsed(since: clock()) }
                continue
            case .success(let (_, .otherRegion(region, _))) where !hasAdjustedRegion:
                hasAdjustedRegion = true
                learned.withLock { $0.region = region }
                continue
            case .success(let (_, .failed(error))), .success(let (_, .skewed(_, error))),
                .success(let (_, .otherRegion(_, error))):
                throw error
            case .success(let (_, .retry(error, after))):
                failure = error
                wait = after
            case .failure(let error):
                guard error.isTransient, error.code != .localIO else { throw error }
                failure = error
            }
            isRepeated = true
            guard let backoff = retry.pause(after: attempt) else { throw failure }
            try await pause(wait ?? backoff)
        }
    }

    func backOff(after attempt: Int) async throws(BlobError) { try await pause(retry.backoff.pause(after: attempt)) }

    private func pause(_ duration: Duration) async throws(BlobError) {
        do {
            try await Task.sleep(for: duration)
        } catch {
            throw BlobError(.cancelled, "cancelled")
        }
    }

    private func verdict(on call: S3Call) async -> Result<(HTTPResponse, S3Verdict), BlobError> {
        do throws(BlobError) {
            let now = clock()
            var response = try await perform(signed(call, at: now), call)
            if call.method == "HEAD", [301, 400, 403].contains(response.status) || response.status == 404 && !hasBucket
            {
                response = try await explained(call, response)
            }
            let verdict = S3Verdict(
                response, call: call, server: server, bucket: configuration.bucket, now: now)
            if (200..<300).contains(response.status) || XMLAnswer(response.body).text("Code") == "NoSuchKey" {
                learned.withLock { $0.hasBucket = true }
            }
            return .success((response, verdict))
        } catch {
            return .failure(error)
        }
    }

    /// Repeats a refused HEAD, whose answer has no reason, as a GET of one byte, whose answer has one.
    private func explained(_ head: S3Call, _ response: HTTPResponse) async throws(BlobError) -> HTTPResponse {
        var call = head
        call.method = "GET"
        call.headers.append(("range", "bytes=0-0"))
        let answer = try await perform(signed(call, at: clock()), call)
        return answer.status == response.status ? answer : response
    }

    private func perform(_ request: HTTPRequest, _ call: S3Call) async throws(BlobError) -> HTTPResponse {
        do {
            guard let download = call.download else { return try await http.send(request) }
            try download.restart()
            let head = try await http.stream(
                request, onHead: { try download.begin($0) }, onBody: { try download.take($0) })
            return HTTPResponse(head: head, body: download.refusal)
        } catch let error as HTTPError {
            throw BlobError(error)
        } catch let error as BlobError {
            throw error
        } catch {
            throw BlobError(.protocolError, "unable to communicate with the store")
        }
    }

    private func signed(_ call: S3Call, at now: Timestamp) -> HTTPRequest {
        let (ahead, region) = learned.withLock { ($0.clockAhead, $0.region) }
        let place = configuration.endpoint.location(of: call.key, region: region)
        let signer = configuration.credentials.signer(region: region)
        let unsigned = SigV4.Request(
            method: call.method, authority: place.authority, path: place.path, query: call.query,
            headers: call.headers + (call.isConditional ? [("if-none-match", "*")] : []))
        let query = call.query.isEmpty ? "" : "?" + signer.canonicalQuery(call.query)
        var request = HTTPRequest(call.method, "\(place.scheme)://\(place.authority)\(place.path)\(query)")
        request.headers = signer.signedHeaders(for: unsigned, payloadHash: call.payloadHash, at: now + ahead)
        request.body = call.body
        request.onUpload = call.onUpload
        request.deadline = call.deadline
        request.stallTimeout = call.longestSilence
        request.maxBodyBytes = XMLAnswer.maxBytes
        return request
    }

    func createBucket() async throws(BlobError) {
        let region = learned.withLock { $0.region }
        var call = S3Call("PUT", key: nil)
        // Amazon's first region must not be named.
        if region != "us-east-1" {
            let document = Array(
                "<CreateBucketConfiguration><LocationConstraint>\(region)</LocationConstraint></CreateBucketConfiguration>"
                    .utf8)
            call.body = .bytes(document)
            call.payloadHash = SHA256.hexDigest(document)
        }
        // Another process may have made the bucket at the same moment.
        call.expected = [409]
        _ = try await send(call)
    }

    /// Returns the presigned URL of an object, with the server name that people use.
    func presignedURL(key: String, query: [(name: String, value: String)], expires: Duration) -> String {
        let (ahead, region) = learned.withLock { ($0.clockAhead, $0.region) }
        let place = configuration.publicEndpoint.location(of: key, region: region)
        let request = SigV4.Request(method: "GET", authority: place.authority, path: place.path, query: query)
        let signed = configuration.credentials.signer(region: region).presignedQuery(
            for: request, expiresSeconds: expires.components.seconds, at: clock() + ahead)
        return "\(place.scheme)://\(place.authority)\(place.path)?\(signed)"
    }
}

/// Describes one S3 operation before it is signed.
struct S3Call: Sendable {
    var method: String
    /// The key with the store's prefix; nil for the bucket itself.
    var key: String?
    var query: [(name: String, value: String)] = []
    var headers: [(name: String, value: String)] = []
    var body: HTTPBody = .none
    /// The SHA-256 of the body in hex, or `UNSIGNED-PAYLOAD`.
    var payloadHash = SigV4.emptyPayload
    /// The statuses besides 2xx that the caller handles.
    var expected: Set<Int> = []
    /// Is true if the object is stored only if it does not exist. A 409, a 412, and the refusal of a server without
    /// conditions are then answers.
    var isConditional = false
    var onUpload: (@Sendable (Int64) -> Void)?
    /// The bytes that the server copies, which may send nothing meanwhile; nil for a call that copies nothing.
    var copiedBytes: Int64?
    /// The target of a successful answer's body; nil collects the body in memory.
    var download: S3Download?

    init(_ method: String, key: String?) {
        self.method = method
        self.key = key
    }

    /// The time limit: five minutes, and one second for each 16 KiB sent. A download, whose size is not known yet,
    /// has a day. Both end earlier when nothing moves for a minute.
    var deadline: Duration {
        if download != nil { return .seconds(24 * 3600) }
        if copiedBytes != nil { return .seconds(300) + longestSilence }
        let count: Int64 =
            switch body {
            case .file(let range): range.count
            case .bytes(let bytes): Int64(bytes.count)
            default: 0
            }
        return .seconds(300 + count / (16 << 10))
    }
}

extension S3Call {
    /// The longest time in which nothing moves: a minute, and one second for each 4 MiB that the server copies.
    var longestSilence: Duration { .seconds(60 + (copiedBytes ?? 0) / (4 << 20)) }
}

/// Holds an answer, and whether the call was repeated.
struct S3Answer: Sendable {
    var response: HTTPResponse
    /// Is true if earlier attempts failed without an answer: they may have had their effect before the connection broke.
    var isRepeated: Bool

    var status: Int { response.status }
    var xml: XMLAnswer { XMLAnswer(response.body) }
}

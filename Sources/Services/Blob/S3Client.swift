import Crypto
import HTTP
import JSON
import Synchronization
import System

/// Sends S3 calls: signs them, tries again what may pass, and follows the server's clock and the bucket's region.
final class S3Client: Sendable {
    let configuration: S3Configuration
    private let http: HTTPClient
    private let retry: RetryPolicy
    private let clock: @Sendable () -> Timestamp
    private let learned: Mutex<Learned>

    /// What the server's answers taught.
    private struct Learned {
        var clockAhead = Duration.zero
        var region: String
        /// Whether the server knows `If-None-Match: *`.
        var isConditional = true
        /// Whether the bucket is known to be there.
        var hasBucket = false
    }

    init(
        _ configuration: S3Configuration, http: HTTPClient = HTTPClient(userAgent: "tgpipe/\(tgpipeVersion)"),
        retry: RetryPolicy = RetryPolicy(),
        clock: @escaping @Sendable () -> Timestamp = { .now }
    ) {
        self.configuration = configuration
        self.http = http
        self.retry = retry
        self.clock = clock
        learned = Mutex(Learned(region: configuration.region))
    }

    /// Host and port, for messages.
    var server: String {
        configuration.endpoint.location(of: nil, region: learned.withLock { $0.region }).authority
    }

    /// Whether an answer has shown that the bucket is there: until then a refused HEAD, which says nothing of why, is asked
    /// again as a GET.
    var hasBucket: Bool { learned.withLock { $0.hasBucket } }

    var isConditional: Bool { learned.withLock { $0.isConditional } }

    func forgetConditions() { learned.withLock { $0.isConditional = false } }

    /// Sends a call until it is answered with a success or a status that it expects.
    ///
    /// - Throws: what the last attempt failed with.
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
                guard error.isTemporary, error.code != .localIO else { throw error }
                failure = error
            }
            isRepeated = true
            guard attempt < retry.attempts else { throw failure }
            try await pause(wait ?? retry.delay(after: attempt))
        }
    }

    func backOff(after attempt: Int) async throws(BlobError) { try await pause(retry.delay(after: attempt)) }

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

    /// A refused HEAD says nothing of why; the same request as a GET of one byte does.
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
            throw BlobError(.protocolError, "unable to speak to the store")
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
        request.stallTimeout = .seconds(60)
        request.maxBodyBytes = XMLAnswer.maxBytes
        return request
    }

    func createBucket() async throws(BlobError) {
        let region = learned.withLock { $0.region }
        var call = S3Call("PUT", key: nil)
        // Amazon's first region is the one that must not be named.
        if region != "us-east-1" {
            let document = Array(
                "<CreateBucketConfiguration><LocationConstraint>\(region)</LocationConstraint></CreateBucketConfiguration>"
                    .utf8)
            call.body = .bytes(document)
            call.payloadHash = SHA256.hexDigest(document)
        }
        // Another process may have made it at the same moment.
        call.expected = [409]
        _ = try await send(call)
    }

    /// The presigned URL of an object, by the name that people reach the server under.
    func presignedURL(key: String, query: [(name: String, value: String)], expires: Duration) -> String {
        let (ahead, region) = learned.withLock { ($0.clockAhead, $0.region) }
        let place = configuration.publicEndpoint.location(of: key, region: region)
        let request = SigV4.Request(method: "GET", authority: place.authority, path: place.path, query: query)
        let signed = configuration.credentials.signer(region: region).presignedQuery(
            for: request, expiresSeconds: expires.components.seconds, at: clock() + ahead)
        return "\(place.scheme)://\(place.authority)\(place.path)?\(signed)"
    }
}

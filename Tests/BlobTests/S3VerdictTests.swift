import BotAPI
import HTTP
import JSON
import System
import Testing

@testable import Blob

@Suite struct S3VerdictTests {
    private let now = Timestamp("2026-11-21T19:00:00Z") ?? .now

    private func verdict(
        _ status: Int, _ code: String? = nil, headers: [(name: String, value: String)] = [], extra: String = "",
        isConditional: Bool = false
    ) -> S3Verdict {
        let body = code.map { "<Error><Code>\($0)</Code><Message>Signature=abc</Message>\(extra)</Error>" } ?? ""
        let head = HTTPHead(status: status, headers: HTTPHeaders(headers), effectiveURL: "http://h/")
        var call = S3Call("PUT", key: "k")
        call.isConditional = isConditional
        return S3Verdict(
            HTTPResponse(head: head, body: Array(body.utf8)), call: call, server: "s3.example.com", bucket: "box",
            now: now)
    }

    private func code(_ verdict: S3Verdict) -> BlobError.Code? {
        switch verdict {
        case .answer: nil
        case .retry(let error, _), .skewed(_, let error), .otherRegion(_, let error), .failed(let error): error.code
        }
    }

    private static let refusals: [(Int, String?, BlobError.Code)] = [
        (403, "SignatureDoesNotMatch", BlobError.Code.refused), (403, "InvalidAccessKeyId", .refused),
        (403, "AccessDenied", .refused), (403, nil, .refused), (401, nil, .refused), (400, "ExpiredToken", .refused),
        (404, "NoSuchBucket", .noSuchBucket), (404, "NoSuchKey", .notFound), (404, "NoSuchUpload", .notFound),
        (301, "PermanentRedirect", .configuration), (307, nil, .configuration),
        (400, "XAmzContentSHA256Mismatch", .corrupt), (400, "BadDigest", .corrupt), (400, "EntityTooLarge", .tooLarge),
        (413, nil, .tooLarge), (400, "InvalidArgument", .protocolError), (418, nil, .protocolError),
        (501, "NotImplemented", .storeFailed), (404, nil, .configuration), (405, nil, .configuration),
        (405, "MethodNotAllowed", .protocolError),
    ]

    @Test(arguments: refusals)
    func `Refusals are permanent failures`(_ status: Int, _ word: String?, _ expected: BlobError.Code) {
        let verdict = verdict(status, word)
        guard case .failed(let error) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(error.code == expected)
        #expect(!error.isTransient)
        #expect(!error.message.contains("abc"))
    }

    private static let passing: [(Int, String?, BlobError.Code)] = [
        (500, "InternalError", BlobError.Code.storeFailed), (503, "SlowDown", .busy), (503, nil, .storeFailed),
        (502, nil, .storeFailed), (429, nil, .busy), (400, "RequestTimeout", .storeFailed), (408, nil, .storeFailed),
    ]

    @Test(arguments: passing)
    func `Transient failures are retried`(_ status: Int, _ word: String?, _ expected: BlobError.Code) {
        guard case .retry(let error, nil) = verdict(status, word) else {
            Issue.record("not tried again")
            return
        }
        #expect(error.code == expected)
        #expect(error.isTransient)
    }

    private static let waits: [(String, Duration?)] = [
        ("3", Duration.seconds(3)), ("86400", .seconds(60)), ("0", nil), ("-5", nil), ("soon", nil),
    ]

    @Test(arguments: waits)
    func `The server's Retry-After is observed within a limit`(_ header: String, _ wait: Duration?) {
        guard case .retry(_, let after) = verdict(503, "SlowDown", headers: [("Retry-After", header)]) else {
            Issue.record("not tried again")
            return
        }
        #expect(after == wait)
    }

    @Test func `An error inside a 200 response is an error`() {
        guard case .retry(let error, _) = verdict(200, "InternalError") else {
            Issue.record("taken for a success")
            return
        }
        #expect(error.code == .storeFailed)
    }

    @Test func `A refusal because of the clock gives the server's time`() {
        let date = [(name: "Date", value: "Sat, 21 Nov 2026 18:00:00 GMT")]
        for word in ["RequestTimeTooSkewed", nil] {
            guard case .skewed(let time, let error) = verdict(403, word, headers: date) else {
                Issue.record("not recognized")
                return
            }
            #expect(time == Timestamp("2026-11-21T18:00:00Z"))
            #expect(error.code == .refused)
        }
        let close = [(name: "Date", value: "Sat, 21 Nov 2026 19:00:30 GMT")]
        guard case .failed = verdict(403, nil, headers: close) else {
            Issue.record("half a minute is no reason")
            return
        }
        guard case .failed = verdict(403, "AccessDenied", headers: date) else {
            Issue.record("the server gave another reason")
            return
        }
    }

    @Test func `A bucket in another region gives its region`() {
        let answers = [
            verdict(301, "PermanentRedirect", headers: [("x-amz-bucket-region", "eu-west-1")]),
            verdict(307, nil, headers: [("x-amz-bucket-region", "eu-west-1")]),
            verdict(400, "AuthorizationHeaderMalformed", extra: "<Region>eu-west-1</Region>"),
        ]
        for answer in answers {
            guard case .otherRegion("eu-west-1", _) = answer else {
                Issue.record("\(answer)")
                continue
            }
        }
        guard case .failed = verdict(301, nil, headers: [("x-amz-bucket-region", "evil.example.com/x")]) else {
            Issue.record("that is no region")
            return
        }
    }

    private static let aboutConditions: [(Int, String?)] = [
        (409, "ConditionalRequestConflict"), (412, "PreconditionFailed"), (501, "NotImplemented"),
        (400, "InvalidArgument"), (400, nil),
    ]

    @Test(arguments: aboutConditions)
    func `A failed condition is a result and not an error`(_ status: Int, _ word: String?) {
        #expect(code(verdict(status, word, isConditional: true)) == nil)
        #expect(code(verdict(status, word)) != nil)
    }

    @Test func `A condition does not hide other refusals`() {
        #expect(code(verdict(403, "AccessDenied", isConditional: true)) == .refused)
        #expect(code(verdict(400, "XAmzContentSHA256Mismatch", isConditional: true)) == .corrupt)
    }

    @Test(arguments: ["<script>", "No Such\u{1B}[31m", String(repeating: "A", count: 100)])
    func `The server's error code is shown only when it is a single word`(_ word: String) {
        guard case .failed(let error) = verdict(400, word) else {
            Issue.record("not refused")
            return
        }
        #expect(error.message == "s3.example.com did not accept the request (400)")
    }

    @Test func `Waits grow and stay bounded`() {
        let backoff = S3Client.defaultRetry.backoff
        for attempt in 1...60 {
            let wait = backoff.pause(after: attempt)
            #expect(wait >= backoff.delay(after: attempt) / 2)
            #expect(wait <= .seconds(15))
        }
        #expect(backoff.delay(after: 1) == .milliseconds(200))
        #expect(backoff.delay(after: 60) == .seconds(10))
        #expect(S3Client.defaultRetry.pause(after: 5) == nil)
    }

    @Test func `Dates in other formats are ignored`() {
        #expect(Timestamp(httpDate: "Fri, 24 May 2013 00:00:00 GMT")?.signatureStamp == "20130524T000000Z")
        for text in [
            "", "Fri, 24 May 2013 00:00:00 +0000", "24 May 2013", "Fri, 99 May 2013 00:00:00 GMT",
            "Fri, 24 Mai 2013 00:00:00 GMT",
        ] {
            #expect(Timestamp(httpDate: text) == nil)
        }
    }
}

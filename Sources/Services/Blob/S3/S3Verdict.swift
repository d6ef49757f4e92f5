import HTTP
import JSON

/// Decides how to go on after an answer of S3. It is pure, so that every case can be tested without a server.
enum S3Verdict {
    case answer
    /// The call should be sent again, after the pause that the server asks for, if it does.
    case retry(BlobError, after: Duration?)
    /// The server's clock differs: sign with its time.
    case skewed(serverTime: Timestamp, BlobError)
    /// The bucket is in another region: sign for that one.
    case otherRegion(String, BlobError)
    case failed(BlobError)

    init(_ response: HTTPResponse, call: S3Call, server: String, bucket: String, now: Timestamp) {
        let xml = XMLAnswer(response.body)
        // CompleteMultipartUpload may begin its answer with 200 and end it with an error.
        let isLateFailure = response.status == 200 && call.download == nil && xml.isError
        if !isLateFailure, (200..<300).contains(response.status) || call.expected.contains(response.status) {
            self = .answer
            return
        }
        let status = isLateFailure ? 500 : response.status
        let code = S3Verdict.word(xml.text("Code"))
        if call.isConditional, S3Verdict.isAboutCondition(status, code) {
            self = .answer
            return
        }
        let error = S3Verdict.error(status, code, xml, server: server, bucket: bucket)
        if let region = S3Verdict.region(response, xml), [301, 307, 400, 403].contains(status) {
            self = .otherRegion(region, error)
        } else if status == 403, let time = S3Verdict.distantTime(response, code, now) {
            self = .skewed(serverTime: time, error)
        } else if S3Verdict.isPassing(status, code) {
            let seconds = response.headers["Retry-After"].flatMap { Int64($0) } ?? 0
            self = .retry(error, after: seconds > 0 ? .seconds(min(seconds, 60)) : nil)
        } else {
            self = .failed(error)
        }
    }

    private static func isAboutCondition(_ status: Int, _ code: String) -> Bool {
        switch status {
        case 409, 412, 501: true
        case 400: ["", "NotImplemented", "InvalidArgument", "InvalidRequest"].contains(code)
        default: false
        }
    }

    private static func isPassing(_ status: Int, _ code: String) -> Bool {
        status == 429 || status == 408 || (status >= 500 && status != 501) || code == "RequestTimeout"
            || code == "SlowDown"
    }

    /// Returns the server's time when it refuses ours, or when it refuses a HEAD (whose answer has no reason) while
    /// the clocks differ.
    private static func distantTime(_ response: HTTPResponse, _ code: String, _ now: Timestamp) -> Timestamp? {
        guard code == "RequestTimeTooSkewed" || code.isEmpty,
            let time = response.head.date("Date")
        else { return nil }
        let apart = time.elapsed(since: now)
        return apart > .seconds(60) || apart < .seconds(-60) ? time : nil
    }

    private static func region(_ response: HTTPResponse, _ xml: XMLAnswer) -> String? {
        let region = response.headers["x-amz-bucket-region"] ?? xml.text("Region")
        guard let region, S3Configuration.isRegion(region) else { return nil }
        return region
    }

    /// Returns a code that is safe to show: letters and digits only.
    private static func word(_ code: String?) -> String {
        guard let code, code.utf8.count <= 64, code.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) else {
            return ""
        }
        return code
    }

    private static func error(
        _ status: Int, _ code: String, _ xml: XMLAnswer, server: String, bucket: String
    ) -> BlobError {
        let tag = code.isEmpty ? "\(status)" : "\(status) \(code)"
        switch (status, code) {
        case (_, "NoSuchBucket"):
            return .noSuchBucket(bucket, at: server)
        case (404, _) where !xml.isError, (405, _) where !xml.isError:
            return .noS3Server(at: server)
        case (404, _):
            return BlobError(.notFound, "\(server) has no such object (\(tag))")
        case (_, "SignatureDoesNotMatch"):
            return BlobError(
                .refused, "\(server) refused the signature: the access key or its secret is wrong (\(tag))")
        case (_, "InvalidAccessKeyId"):
            return BlobError(.refused, "\(server) does not know the access key (\(tag))")
        case (_, "ExpiredToken"), (_, "InvalidToken"):
            return BlobError(.refused, "\(server) refused the session token: it has expired or is wrong (\(tag))")
        case (_, "RequestTimeTooSkewed"):
            return BlobError(.refused, "\(server) refused the request: this machine's clock is wrong (\(tag))")
        case (401, _), (403, _):
            return BlobError(.refused, "\(server) refused access to the bucket '\(bucket)' (\(tag))")
        case (_, "BadDigest"), (_, "XAmzContentSHA256Mismatch"):
            return BlobError(.corrupt, "\(server) received damaged data (\(tag))")
        case (300..<400, _):
            return BlobError(
                .configuration,
                "\(server) redirects requests for the bucket '\(bucket)': its endpoint or region is a different one (\(tag))"
            )
        case (_, "AuthorizationHeaderMalformed"):
            return BlobError(.configuration, "\(server) expects another region: correct AWS_REGION (\(tag))")
        case (412, _):
            return BlobError(
                .notFound, "\(server) has another object than the one that was put (\(tag))", isTransient: true)
        case (413, _), (_, "EntityTooLarge"):
            return BlobError(.tooLarge, "\(server) does not accept an object of this size (\(tag))")
        case (_, "SlowDown"), (429, _):
            return BlobError(.busy, "\(server) limits the rate of requests (\(tag))", isTransient: true)
        case (500..., _), (408, _), (_, "RequestTimeout"):
            return BlobError(.storeFailed, "\(server) failed (\(tag))", isTransient: status != 501)
        default:
            return BlobError(.protocolError, "\(server) did not accept the request (\(tag))")
        }
    }
}

extension BlobError {
    static func noSuchBucket(_ bucket: String, at server: String) -> BlobError {
        BlobError(.noSuchBucket, "there is no bucket '\(bucket)' at \(server)")
    }

    /// A server whose refusal does not have S3's form is not S3.
    static func noS3Server(at server: String) -> BlobError {
        BlobError(.configuration, "the server at \(server) is not an S3 server: correct the endpoint")
    }

    /// Explains a request without an answer.
    init(_ error: HTTPError) {
        switch error.code {
        case .sink:
            self = error.underlying as? BlobError ?? BlobError(.localIO, error.message)
        case .unreachable, .truncated:
            self.init(.unreachable, error.message, isTransient: true)
        case .timedOut:
            self.init(.timedOut, error.message, isTransient: true)
        case .tls:
            self.init(.unreachable, error.message)
        case .cancelled:
            self.init(.cancelled, "cancelled")
        case .localIO:
            self.init(.localIO, error.message)
        case .invalidURL, .refusedAddress:
            self.init(.configuration, error.message)
        case .tooLarge, .redirectLoop, .badEncoding, .protocolError:
            self.init(.protocolError, error.message)
        }
    }
}

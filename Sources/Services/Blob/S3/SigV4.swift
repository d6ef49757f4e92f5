import Crypto
import JSON

/// Signs requests with AWS Signature Version 4 for S3, by pure functions of the request and the time.
///
/// Source: "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference.
struct SigV4: Sendable {
    var accessKey: String
    var secretKey: String
    var sessionToken: String?
    var region: String

    static let unsignedPayload = "UNSIGNED-PAYLOAD"
    static let emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    static let maxPresignSeconds: Int64 = 7 * 24 * 3600

    /// Holds the signed parts of a request. `path` is percent-encoded as it is sent; query names and values are not.
    struct Request: Sendable {
        var method: String
        /// The host, with the port unless it is the scheme's default.
        var authority: String
        var path: String
        var query: [(name: String, value: String)] = []
        var headers: [(name: String, value: String)] = []
    }

    /// Returns the headers to send with `request`: its own and those of the signature.
    func signedHeaders(
        for request: Request, payloadHash: String, at time: Timestamp
    ) -> [(name: String, value: String)] {
        let stamp = time.signatureStamp
        var headers = request.headers
        headers.append(("x-amz-content-sha256", payloadHash))
        headers.append(("x-amz-date", stamp))
        if let sessionToken { headers.append(("x-amz-security-token", sessionToken)) }
        let canonical = canonicalHeaders(headers + [("host", request.authority)])
        let signature = sign(
            request.method, request.path, canonicalQuery(request.query), canonical, payloadHash, stamp)
        let credential = accessKey + "/" + scope(stamp)
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(credential),SignedHeaders=\(canonical.names),Signature=\(signature)"
        headers.append(("Authorization", authorization))
        return headers
    }

    /// Returns the encoded query of a presigned request, which anyone can send until it expires.
    func presignedQuery(for request: Request, expiresSeconds: Int64, at time: Timestamp) -> String {
        let stamp = time.signatureStamp
        let canonical = canonicalHeaders(request.headers + [("host", request.authority)])
        var query = request.query
        query.append(("X-Amz-Algorithm", "AWS4-HMAC-SHA256"))
        query.append(("X-Amz-Credential", accessKey + "/" + scope(stamp)))
        query.append(("X-Amz-Date", stamp))
        query.append(("X-Amz-Expires", String(expiresSeconds)))
        query.append(("X-Amz-SignedHeaders", canonical.names))
        if let sessionToken { query.append(("X-Amz-Security-Token", sessionToken)) }
        let encoded = canonicalQuery(query)
        let signature = sign(
            request.method, request.path, encoded, canonical, SigV4.unsignedPayload, stamp)
        return encoded + "&X-Amz-Signature=" + signature
    }

    /// Encodes the query as it is signed and sent: sorted by the encoded name, then by value.
    func canonicalQuery(_ query: [(name: String, value: String)]) -> String {
        query.map { (percentEncoded($0.name), percentEncoded($0.value)) }
            .sorted { $0.0 == $1.0 ? precedes($0.1, $1.1) : precedes($0.0, $1.0) }
            .map { $0.0 + "=" + $0.1 }
            .joined(separator: "&")
    }

    /// Only headers that no proxy rewrites are signed: the host, the content type, and Amazon's own.
    private func canonicalHeaders(
        _ headers: [(name: String, value: String)]
    ) -> (block: String, names: String) {
        let signed = headers.map { (name: $0.name.lowercased(), value: collapsed($0.value)) }
            .filter { $0.name == "host" || $0.name == "content-type" || $0.name.hasPrefix("x-amz-") }
            .sorted { precedes($0.name, $1.name) }
        let block = signed.map { $0.name + ":" + $0.value + "\n" }.joined()
        return (block, signed.map(\.name).joined(separator: ";"))
    }

    private func sign(
        _ method: String, _ path: String, _ query: String, _ headers: (block: String, names: String),
        _ payloadHash: String, _ stamp: String
    ) -> String {
        let canonical = [method, path, query, headers.block, headers.names, payloadHash].joined(separator: "\n")
        let text = ["AWS4-HMAC-SHA256", stamp, scope(stamp), SHA256.hexDigest(canonical.utf8)].joined(separator: "\n")
        var key = hmacSHA256(key: Array("AWS4\(secretKey)".utf8), String(stamp.prefix(8)))
        for step in [region, "s3", "aws4_request"] { key = hmacSHA256(key: key, step) }
        return hex(hmacSHA256(key: key, text))
    }

    private func scope(_ stamp: String) -> String { "\(stamp.prefix(8))/\(region)/s3/aws4_request" }

    /// Compares by bytes: `String`'s own order is that of Unicode.
    private func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

    private func collapsed(_ value: String) -> String {
        value.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
    }
}

/// Writes the spelling of time that S3 uses in signatures: `20130524T000000Z`.
extension Timestamp {
    /// The time as `YYYYMMDDTHHMMSSZ`.
    var signatureStamp: String {
        description.prefix("2013-05-24T00:00:00".utf8.count).filter { $0 != "-" && $0 != ":" } + "Z"
    }
}

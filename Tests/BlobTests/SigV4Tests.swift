@testable import Blob
import Crypto
import Foundation
import JSON
import TestSupport
import Testing

/// The examples of "Signature Calculations for the Authorization Header" and "Authenticating Requests: Using Query Parameters"
/// in Amazon's S3 API reference.
@Suite struct SigV4ExampleTests {
    private let signer = SigV4(
        accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", sessionToken: nil,
        region: "us-east-1")
    private let time = Timestamp("2013-05-24T00:00:00Z") ?? .now
    private let host = "examplebucket.s3.amazonaws.com"

    private func signature(_ request: SigV4.Request, _ payloadHash: String = SigV4.emptyPayload) -> String? {
        let headers = signer.signedHeaders(for: request, payloadHash: payloadHash, at: time)
        return headers.last?.value.split(separator: "Signature=").last.map(String.init)
    }

    @Test func `A listing is signed as in Amazon's example`() {
        let request = SigV4.Request(
            method: "GET", authority: host, path: "/", query: [("max-keys", "2"), ("prefix", "J")])
        #expect(signature(request) == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    }

    @Test func `A query without values is signed as in Amazon's example`() {
        let request = SigV4.Request(method: "GET", authority: host, path: "/", query: [("lifecycle", "")])
        #expect(signature(request) == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
    }

    @Test func `A presigned URL is signed as in Amazon's example`() {
        let request = SigV4.Request(method: "GET", authority: host, path: "/test.txt")
        let query = signer.presignedQuery(for: request, expiresSeconds: 86400, at: time)
        #expect(query.hasSuffix("=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"))
        #expect(query.contains("X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&"))
    }

    @Test func `The empty payload's hash is the SHA-256 of no bytes`() {
        #expect(SHA256.hexDigest([]) == SigV4.emptyPayload)
    }
}

/// Compares signatures with botocore's, for inputs that are easy to sign wrongly.
@Suite struct SigV4PeerTests {
    private struct Case {
        var method = "GET"
        var path = "/bucket/key"
        var query: [(name: String, value: String)] = []
        var headers: [(name: String, value: String)] = []
        var payloadHash = SigV4.emptyPayload
        var accessKey = "AKIAIOSFODNN7EXAMPLE"
        var token: String?
        var region = "us-east-1"
        var authority = "127.0.0.1:9000"
        var expires: Int64?
    }

    private static let oddPaths = [
        "/bucket/a b", "/bucket/a+b", "/bucket/a%20b", "/bucket/ä/ö/ü.mp4", "/bucket/видео/кот.mp4", "/bucket/🎬.mp4",
        "/bucket/a~b-c_d.e", "/bucket/(1)!*'.mp4", "/bucket/q?x=1&y=2", "/bucket/a#b", "/bucket/a=b;c,d:e@f$g",
        "/bucket/[x]{y}|z^`<>\"\\", "/bucket/e\u{301}", "/bucket/100%", "/bucket/日本語/ファイル.mp3",
    ]

    private static let oddQueries: [[(name: String, value: String)]] = [
        [("uploads", "")], [("partNumber", "10"), ("uploadId", "a+b/c=d==")], [("b", "2"), ("a", "1"), ("B", "0")],
        [("response-content-disposition", "attachment; filename=\"a b.mp4\"; filename*=UTF-8''%D0%BA.mp4")],
        [("prefix", "видео/ a+b&c=d~e"), ("delimiter", "/"), ("list-type", "2")],
        [("a-b", "1"), ("a.b", "2"), ("aB", "3")],
    ]

    private static var cases: [Case] {
        var cases = oddPaths.map { Case(path: $0) } + oddPaths.map { Case(path: $0, expires: 3600) }
        cases += oddQueries.map { Case(query: $0) } + oddQueries.map { Case(query: $0, expires: 604_800) }
        cases.append(Case(authority: "bucket.s3.eu-central-1.amazonaws.com", expires: 60))
        cases.append(Case(region: "eu-central-1", expires: 60))
        cases.append(Case(accessKey: "test:tester", expires: 60))
        cases.append(Case(accessKey: "test:tester", token: "tok/en+with=signs=="))
        cases.append(Case(token: "tok/en+with=signs==", expires: 60))
        cases.append(
            Case(
                method: "PUT",
                headers: [
                    ("content-type", "video/mp4"), ("x-amz-meta-title", "%D0%BA"), ("x-amz-meta-a--2", "a,b;c"),
                    ("x-amz-meta-empty", ""), ("x-amz-acl", "private"),
                ], payloadHash: SHA256.hexDigest("body".utf8)))
        cases.append(Case(method: "PUT", payloadHash: SigV4.unsignedPayload))
        cases.append(Case(method: "DELETE", query: [("uploadId", "x")]))
        cases.append(Case(method: "HEAD"))
        return cases
    }

    @Test func `Signatures equal those of botocore`() throws {
        let time = try #require(Timestamp("2026-11-21T19:03:06Z"))
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        let ours = Self.cases.map { one -> String in
            let signer = SigV4(
                accessKey: one.accessKey, secretKey: secret, sessionToken: one.token, region: one.region)
            let request = SigV4.Request(
                method: one.method, authority: one.authority, path: percentEncoded(one.path, keeping: "/"),
                query: one.query, headers: one.headers)
            if let expires = one.expires {
                return signer.presignedQuery(for: request, expiresSeconds: expires, at: time)
            }
            return signer.signedHeaders(for: request, payloadHash: one.payloadHash, at: time).last?.value ?? ""
        }
        let asked = Self.cases.map { one -> JSON in
            let pairs = { (list: [(name: String, value: String)]) -> JSON in
                .array(list.map { .array([.string($0.name), .string($0.value)]) })
            }
            return .object([
                "method": .string(one.method), "endpoint": .string("http://\(one.authority)"),
                "path": .string(one.path), "query": pairs(one.query), "headers": pairs(one.headers),
                "payload_hash": .string(one.payloadHash), "access_key": .string(one.accessKey),
                "secret_key": .string(secret), "token": one.token.map { .string($0) },
                "region": .string(one.region), "time": "20261121T190306Z", "expires": one.expires.map { .integer($0) },
            ])
        }
        let folder = try TemporaryFolder()
        try Data(JSON.array(asked).bytes).write(to: URL(fileURLWithPath: folder("cases.json")))
        let printed = try PythonTools.run("\(testFolder)/TestSupport/botocore_signatures.py", [folder("cases.json")])
        let theirs = try #require(try JSON(parsing: printed).array)
        try #require(theirs.count == ours.count)
        for (index, one) in Self.cases.enumerated() {
            let signature = try #require(theirs[index].string)
            #expect(ours[index].hasSuffix("Signature=" + signature), "\(one)")
        }
    }
}

import Foundation
import TestSupport
import Testing

@testable import Blob

@Suite struct PresignTests {
    private func curl(_ arguments: String...) throws -> String {
        try SpawnedProgram.output(of: ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}"] + arguments)
    }

    @Test func `A presigned URL serves the object under the requested name`() async throws {
        let bucket = try await S3Bucket()
        let store = try bucket.store
        _ = try await store.put(
            bucket.file("hello"), key: "video/a.mp4", metadata: BlobMetadata(contentType: "text/plain"))
        let url = try #require(
            try store.presignedURL(
                "video/a.mp4", expires: .seconds(600), contentType: "video/mp4", fileName: "Кот \"1\".mp4"))
        #expect(try SpawnedProgram.output(of: ["curl", "-sS", url]) == "hello")
        let head = try SpawnedProgram.output(of: ["curl", "-sS", "-o", "/dev/null", "-D", "-", url]).lowercased()
        #expect(head.contains("content-type: video/mp4"))
        #expect(head.contains("filename*=utf-8''%d0%9a%d0%be%d1%82%20%221%22.mp4"))
        #expect(url.contains("X-Amz-Credential=test%3Atester%2F"))
        #expect(!url.contains(S3Server.secretKey))
    }

    @Test func `A tampered URL is refused`() async throws {
        let bucket = try await S3Bucket()
        let store = try bucket.store
        for key in ["a", "b"] { _ = try await store.put(bucket.file("x"), key: key, metadata: BlobMetadata()) }
        let url = try #require(try store.presignedURL("a", expires: .seconds(600), contentType: nil, fileName: nil))
        #expect(try curl(url) == "200")
        #expect(try curl(url.replacingOccurrences(of: "/a?", with: "/b?")) == "403")
        #expect(try curl(url.replacingOccurrences(of: "Expires=600", with: "Expires=6000")) == "403")
        #expect(try curl(url + "0") == "403")
        #expect(try curl("-X", "DELETE", url) == "403")
    }

    @Test func `An expired URL is refused`() async throws {
        let bucket = try await S3Bucket()
        _ = try await bucket.store.put(bucket.file("x"), key: "k", metadata: BlobMetadata())
        let store = S3Store(client: try bucket.client(clockAhead: .seconds(-601)))
        let url = try #require(try store.presignedURL("k", expires: .seconds(600), contentType: nil, fileName: nil))
        #expect(try curl(url) == "403")
    }

    @Test func `A presigned URL uses the public endpoint's host`() async throws {
        let bucket = try await S3Bucket()
        var options = S3Options()
        options.publicEndpoint = "https://media.example.com"
        let store = S3Store(client: try bucket.client(options: options))
        let url = try #require(try store.presignedURL("k", expires: .seconds(600), contentType: nil, fileName: nil))
        #expect(url.hasPrefix("https://media.example.com/\(bucket.name)/k?"))
        #expect(try await store.head("k") == nil)
    }

    @Test(arguments: [Duration.seconds(0), .seconds(-1), .milliseconds(999), .seconds(7 * 24 * 3600 + 1)])
    func `A lifetime outside S3's limits is refused`(_ expires: Duration) async throws {
        let store = try await S3Bucket().store
        #expect { try store.presignedURL("k", expires: expires, contentType: nil, fileName: nil) } throws: {
            isBlobError($0, .invalid)
        }
    }
}

import Crypto
import Foundation
import TestSupport
import Testing

@testable import Blob

@Suite struct S3FaultTests {
    @Test(arguments: [slowDown, .answer(500), .answer(429), .reset, .loseAnswer])
    func `Transient failures are retried until the request succeeds`(_ fault: FaultyProxy.Fault) async throws {
        let bucket = try await S3Bucket()
        let proxy = try bucket.proxy(
            .init("PUT", times: 2, fault), .init("HEAD", times: 2, fault), .init("GET", times: 2, fault),
            .init("DELETE", times: 2, fault))
        let store = try bucket.store(behind: proxy)
        #expect(try await store.put(bucket.file("hello"), key: "k", metadata: BlobMetadata()) == .stored)
        #expect(try await store.head("k")?.sizeBytes == 5)
        _ = try await store.get("k", to: bucket.folder("back"))
        #expect(try bucket.text("back") == "hello")
        try await store.delete("k")
        #expect(try await bucket.store.head("k") == nil)
        #expect(proxy.requests.filter { $0.method == "GET" }.count == 3)
    }

    @Test(arguments: [(slowDown, BlobError.Code.busy), (.answer(503), .storeFailed), (.reset, .unreachable)])
    func `A failure that persists ends in an error`(_ fault: FaultyProxy.Fault, _ code: BlobError.Code) async throws {
        let bucket = try await S3Bucket()
        let proxy = try bucket.proxy(.init("PUT", times: 100, fault))
        let store = try bucket.store(behind: proxy)
        await #expect { try await store.put(bucket.file("x"), key: "k", metadata: BlobMetadata()) } throws: {
            isBlobError($0, code) && ($0 as? BlobError)?.isTransient == true
        }
        #expect(proxy.requests.count == 4)
        #expect(try await bucket.store.head("k") == nil)
    }

    @Test func `A server without conditional writes is asked first whether the object exists`() async throws {
        let bucket = try await S3Bucket()
        let proxy = try bucket.proxy(.init("PUT", header: "if-none-match", times: 100, notImplemented))
        let store = try bucket.store(behind: proxy)
        #expect(try await store.put(bucket.file("one"), key: "k", metadata: BlobMetadata()) == .stored)
        let again = try await store.put(bucket.file("two"), key: "k", metadata: BlobMetadata())
        #expect(again != .stored)
        #expect(try await store.head("k")?.metadata.sha256 == SHA256.hexDigest("one".utf8))
        #expect(proxy.requests.filter { $0.header("if-none-match") != nil }.count == 1)
    }

    @Test func `A conditional-write conflict is retried, then reported as busy`() async throws {
        let bucket = try await S3Bucket()
        let conflict = FaultyProxy.Fault.answer(409, body: "<Error><Code>ConditionalRequestConflict</Code></Error>")
        let proxy = try bucket.proxy(.init("PUT", times: 2, conflict))
        let store = try bucket.store(behind: proxy)
        #expect(try await store.put(bucket.file("x"), key: "k", metadata: BlobMetadata()) == .stored)
        let endless = try bucket.proxy(.init("PUT", times: 100, conflict))
        await #expect {
            try await bucket.store(behind: endless).put(bucket.file("x"), key: "other", metadata: BlobMetadata())
        } throws: {
            isBlobError($0, .busy)
        }
    }

    @Test func `A redirect to another region is signed for that region`() async throws {
        let bucket = try await S3Bucket()
        let elsewhere = FaultyProxy.Fault.answer(301, headers: [("x-amz-bucket-region", "us-east-1")])
        let proxy = try bucket.proxy(.init("PUT", elsewhere))
        #expect(
            try await bucket.store(behind: proxy).put(bucket.file("x"), key: "k", metadata: BlobMetadata()) == .stored)
        let endless = try bucket.proxy(.init("PUT", times: 100, elsewhere))
        await #expect {
            try await bucket.store(behind: endless).put(bucket.file("x"), key: "other", metadata: BlobMetadata())
        } throws: {
            isBlobError($0, .configuration)
        }
        #expect(endless.requests.count == 2)
    }

    @Test func `A truncated response is not taken for the object`() async throws {
        let bucket = try await S3Bucket()
        _ = try await bucket.store.put(bucket.file("hello"), key: "k", metadata: BlobMetadata())
        let proxy = try bucket.proxy(
            .init(
                "GET", times: 100,
                .answer(200, headers: [("x-amz-meta-sha256", SHA256.hexDigest("hello".utf8))], body: "hel")))
        await #expect { try await bucket.store(behind: proxy).get("k", to: bucket.folder("back")) } throws: {
            isBlobError($0, .corrupt)
        }
        #expect(!FileManager.default.fileExists(atPath: bucket.folder("back")))
    }
}

import Foundation
import TestSupport
import Testing

@testable import Blob

@Suite struct S3MultipartTests {
    private let options: S3Options = {
        var options = S3Options()
        options.partSizeBytes = 5 << 20
        options.multipartThresholdBytes = 5 << 20
        options.parallelParts = 3
        return options
    }()
    private let metadata = BlobMetadata(contentType: "video/mp4", fileName: "кот.mp4", user: ["title": "Кот"])

    @Test func `Parts become one object with its metadata`() async throws {
        let bucket = try await S3Bucket()
        let store = S3Store(client: try bucket.client(options: options))
        let source = try bucket.file(sizeBytes: 22 << 20 + 12345)
        let progress = Seen()
        let outcome = try await store.put(
            source, key: "видео/кот.mp4", metadata: metadata, sha256: nil, ifAbsent: true, onProgress: progress.add)
        #expect(outcome == .stored)
        let info = try await store.get("видео/кот.mp4", to: bucket.folder("back"))
        #expect(bucket.isSame("source", "back"))
        #expect(info.metadata.user["title"] == "Кот")
        #expect(info.metadata.fileName == "кот.mp4")
        #expect(info.metadata.sha256 == (try await source.sha256()))
        #expect(info.etag?.hasSuffix("-5") == true)
        #expect(progress.values.last == source.sizeBytes)
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test(arguments: [slowDown, .answer(500), .reset, .loseAnswer])
    func `A failed part is sent again`(_ fault: FaultyProxy.Fault) async throws {
        let bucket = try await S3Bucket()
        let proxy = try bucket.proxy(
            .init("PUT", contains: "partNumber=2&", times: 2, fault), .init("POST", contains: "uploads", fault))
        let store = try bucket.store(behind: proxy, options: options)
        let source = try bucket.file(sizeBytes: 12 << 20)
        #expect(try await store.put(source, key: "k", metadata: metadata) == .stored)
        _ = try await bucket.store.get("k", to: bucket.folder("back"))
        #expect(bucket.isSame("source", "back"))
        #expect(proxy.requests.filter { $0.target.contains("partNumber=2&") }.count == 3)
    }

    @Test func `A lost response to the completing request is not a failure`() async throws {
        let bucket = try await S3Bucket()
        for ifAbsent in [true, false] {
            let proxy = try bucket.proxy(.init("POST", contains: "uploadId=", .loseAnswer))
            let outcome = try await bucket.store(behind: proxy, options: options).put(
                bucket.file(sizeBytes: 6 << 20), key: "k\(ifAbsent)", metadata: metadata, sha256: nil,
                ifAbsent: ifAbsent,
                onProgress: nil)
            #expect(outcome == .stored)
        }
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test func `A failed upload leaves no parts behind`() async throws {
        let bucket = try await S3Bucket()
        for rule in [
            FaultyProxy.Rule("PUT", contains: "partNumber=2&", times: 100, slowDown),
            FaultyProxy.Rule("POST", contains: "uploadId=", times: 100, slowDown),
        ] {
            let proxy = try FaultyProxy(to: bucket.server.port, [rule])
            let store = try bucket.store(behind: proxy, options: options)
            await #expect {
                try await store.put(bucket.file(sizeBytes: 12 << 20), key: "k", metadata: metadata)
            } throws: {
                isBlobError($0, .busy)
            }
            #expect(proxy.requests.last?.method == "DELETE")
            #expect(try await bucket.unfinishedUploads() == 0)
            #expect(try await bucket.store.head("k") == nil)
        }
    }

    @Test func `A cancelled upload leaves no parts behind`() async throws {
        let bucket = try await S3Bucket()
        let proxy = try bucket.proxy(.init("PUT", contains: "partNumber=2&", .hang))
        let store = try bucket.store(behind: proxy, options: options)
        let source = try bucket.file(sizeBytes: 12 << 20)
        let put = Task { try await store.put(source, key: "k", metadata: metadata) }
        #expect(try await eventually { proxy.requests.contains { $0.target.contains("partNumber=2&") } })
        put.cancel()
        await #expect { try await put.value } throws: { isBlobError($0, .cancelled) }
        // A part that was on its way may still arrive behind it.
        #expect(proxy.requests.contains { $0.method == "DELETE" })
        #expect(try await bucket.unfinishedUploads() == 0)
        #expect(try await bucket.store.head("k") == nil)
    }

    @Test func `An object that appears during an upload is kept`() async throws {
        let bucket = try await S3Bucket()
        #expect(try await bucket.store.put(bucket.file("first"), key: "k", metadata: metadata) == .stored)
        let existing = try await bucket.store.head("k")
        // As if it were not there yet when the upload begins.
        let proxy = try bucket.proxy(
            .init("HEAD", .answer(404)), .init("GET", .answer(404, body: "<Error><Code>NoSuchKey</Code></Error>")))
        let store = try bucket.store(behind: proxy, options: options)
        let outcome = try await store.put(bucket.file(sizeBytes: 6 << 20), key: "k", metadata: BlobMetadata())
        #expect(outcome == existing.map { .existed($0) })
        #expect(proxy.requests.contains { $0.target.contains("partNumber=2&") })
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test func `Two concurrent uploads do not mix`() async throws {
        let bucket = try await S3Bucket()
        let source = try bucket.file(sizeBytes: 6 << 20)
        let stores = try (0..<2).map { _ in S3Store(client: try bucket.client(options: options)) }
        async let first = stores[0].put(source, key: "k", metadata: metadata)
        async let second = stores[1].put(source, key: "k", metadata: metadata)
        #expect(try await [first, second].contains(.stored))
        _ = try await bucket.store.get("k", to: bucket.folder("back"))
        #expect(bucket.isSame("source", "back"))
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test func `A server without conditional writes is asked before the upload is completed`() async throws {
        let bucket = try await S3Bucket()
        let proxy = try bucket.proxy(.init("POST", header: "if-none-match", times: 100, notImplemented))
        let store = try bucket.store(behind: proxy, options: options)
        let source = try bucket.file(sizeBytes: 6 << 20)
        #expect(try await store.put(source, key: "k", metadata: metadata) == .stored)
        #expect(try await store.put(source, key: "k", metadata: metadata) != .stored)
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test func `A file that differs from its declared size or hash is not stored`() async throws {
        let bucket = try await S3Bucket()
        let store = S3Store(client: try bucket.client(options: options))
        let source = try bucket.file(sizeBytes: 6 << 20)
        await #expect {
            try await store.put(source, key: "k", metadata: metadata, sha256: SigV4.emptyPayload)
        } throws: {
            isBlobError($0, .corrupt)
        }
        #expect(try await bucket.unfinishedUploads() == 0)
        #expect(try await store.head("k") == nil)
    }

    @Test func `A file that changes during its upload is not stored`() async throws {
        let bucket = try await S3Bucket()
        let source = try bucket.file(sizeBytes: 12 << 20)
        let sha256 = try await source.sha256()
        let handle = try #require(FileHandle(forWritingAtPath: bucket.folder("source")))
        try handle.seek(toOffset: 11 << 20)
        try handle.write(contentsOf: Data("changed".utf8))
        let store = S3Store(client: try bucket.client(options: options))
        await #expect { try await store.put(source, key: "k", metadata: metadata, sha256: sha256) } throws: {
            isBlobError($0, .corrupt)
        }
        #expect(try await bucket.unfinishedUploads() == 0)
        #expect(try await store.head("k") == nil)
    }

    @Test func `A file that shrinks during its upload is a local failure`() async throws {
        let bucket = try await S3Bucket()
        let source = try bucket.file(sizeBytes: 12 << 20)
        truncate(bucket.folder("source"), 7 << 20)
        let store = S3Store(client: try bucket.client(options: options))
        await #expect {
            try await store.put(source, key: "k", metadata: metadata, sha256: SigV4.emptyPayload)
        } throws: {
            isBlobError($0, .localIO)
        }
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test func `A missing bucket is created on request`() async throws {
        let bucket = try await S3Bucket()
        var options = options
        options.createsBucket = true
        let store = S3Store(client: try bucket.client(bucket: bucket.name + "-new", options: options))
        #expect(try await store.put(bucket.file(sizeBytes: 6 << 20), key: "k", metadata: metadata) == .stored)
    }
}

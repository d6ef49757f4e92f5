import Crypto
import Foundation
import HTTP
import JSON
import System
import TestSupport
import Testing

@testable import Blob

@Suite struct S3StoreTests {
    private let metadata = BlobMetadata(
        contentType: "video/mp4", fileName: "Кот \"и\" собака.mp4",
        user: [
            "title": "Кот и собака 🎬 =?UTF-8?Q?x?=  two",
            "source-url": "https://example.com/?" + String(repeating: "q=%D0%BA&", count: 80),
            "domain": "example.com", "duration": "12.5",
        ])

    @Test func `An object is read back with its metadata`() async throws {
        let bucket = try await S3Bucket()
        let store = try bucket.store
        #expect(try await store.head("video/a.mp4") == nil)
        #expect(try await store.put(bucket.file("hello"), key: "video/a.mp4", metadata: metadata) == .stored)
        let info = try #require(try await store.head("video/a.mp4"))
        var expected = metadata
        expected.user["sha256"] = SHA256.hexDigest("hello".utf8)
        #expect(info.metadata == expected)
        #expect(info.sizeBytes == 5)
        #expect(info.etag == "5d41402abc4b2a76b9719d911017c592")
        #expect(abs((info.lastModified ?? .now).elapsed(since: .now).components.seconds) < 60)
        #expect(try await store.get("video/a.mp4", to: bucket.folder("back")) == info)
        #expect(try bucket.text("back") == "hello")
    }

    @Test(arguments: [
        "plain", "a b+c", "видео/кот.mp4", "猫/🎬", "100%", "%41", "a?b#c&d=e", "(1)!*'~-_.", "e\u{301}", "a:b@c,d;e$f",
        "[x]{y}|z^`<>\"\\", ".hidden/...", "a=b/" + String(repeating: "k", count: 900),
    ])
    func `A key may be any text`(_ key: String) async throws {
        let bucket = try await S3Bucket()
        let store = try bucket.store
        #expect(try await store.put(bucket.file(key), key: key, metadata: BlobMetadata()) == .stored)
        _ = try await store.get(key, to: bucket.folder("back"))
        #expect(try bucket.text("back") == key)
        let url = try #require(try store.presignedURL(key, expires: .seconds(60), contentType: nil, fileName: nil))
        #expect(try SpawnedProgram.output(of: ["curl", "-sS", "--path-as-is", url]) == key)
        try await store.delete(key)
        #expect(try await store.head(key) == nil)
        try await store.delete(key)
    }

    @Test func `An empty file can be stored`() async throws {
        let bucket = try await S3Bucket()
        #expect(try await bucket.store.put(bucket.file(""), key: "empty", metadata: metadata) == .stored)
        #expect(try await bucket.store.get("empty", to: bucket.folder("back")).sizeBytes == 0)
    }

    @Test func `A store may be limited to a prefix`() async throws {
        let bucket = try await S3Bucket()
        let inner = S3Store(client: try bucket.client(prefix: "some/folder"))
        #expect(inner.name == "s3://\(bucket.name)/some/folder")
        #expect(try await inner.put(bucket.file("x"), key: "k", metadata: BlobMetadata()) == .stored)
        #expect(try await bucket.store.head("some/folder/k")?.sizeBytes == 1)
        #expect(try await inner.head("k")?.key == "k")
    }

    @Test func `An existing object is kept unless replacement is requested`() async throws {
        let bucket = try await S3Bucket()
        let store = try bucket.store
        #expect(try await store.put(bucket.file("one"), key: "k", metadata: metadata) == .stored)
        let again = try await store.put(bucket.file("two"), key: "k", metadata: BlobMetadata())
        guard case .existed(let info) = again else {
            Issue.record("overwritten")
            return
        }
        #expect(info.metadata.user["domain"] == "example.com")
        let outcome = try await store.put(
            bucket.file("three"), key: "k", metadata: BlobMetadata(), sha256: nil, ifAbsent: false, onProgress: nil)
        #expect(outcome == .stored)
        #expect(try await store.head("k")?.sizeBytes == 5)
    }

    /// The server itself may let a second writer through that comes within the same milliseconds; never a mixture of two.
    @Test func `Of many concurrent writers, one object remains`() async throws {
        let bucket = try await S3Bucket()
        let sources = try (0..<8).map { try bucket.file("writer \($0)", "source\($0)") }
        let stored = try await withThrowingTaskGroup(of: String?.self) { group in
            for (number, source) in sources.enumerated() {
                // A client each, as processes would have.
                let store = try bucket.store
                group.addTask {
                    let metadata = BlobMetadata(user: ["writer": "\(number)"])
                    return try await store.put(source, key: "k", metadata: metadata) == .stored ? "\(number)" : nil
                }
            }
            return try await group.reduce(into: Set()) { $0.formUnion([$1].compactMap(\.self)) }
        }
        let info = try await bucket.store.get("k", to: bucket.folder("back"))
        let winner = try #require(info.metadata.user["writer"])
        #expect(stored.contains(winner))
        #expect(bucket.isSame("source\(winner)", "back"))
        #expect(try await bucket.store.put(sources[0], key: "k", metadata: BlobMetadata()) == .existed(info))
    }

    @Test func `A file that differs from its declared size or hash is not stored`() async throws {
        let bucket = try await S3Bucket()
        let wrong = SHA256.hexDigest("other".utf8)
        await #expect {
            try await bucket.store.put(bucket.file("x"), key: "k", metadata: metadata, sha256: wrong)
        } throws: {
            isBlobError($0, .corrupt)
        }
        #expect(try await bucket.store.head("k") == nil)
    }

    @Test(arguments: ["", "abc", String(repeating: "A", count: 64), "UNSIGNED-PAYLOAD", "a\r\nx-amz-acl: public-read"])
    func `A malformed SHA-256 is refused`(_ text: String) async throws {
        let bucket = try await S3Bucket()
        await #expect {
            try await bucket.store.put(bucket.file("x"), key: "k", metadata: metadata, sha256: text)
        } throws: {
            isBlobError($0, .invalid)
        }
        #expect(try await bucket.store.head("k") == nil)
    }

    @Test func `A damaged object is not returned`() async throws {
        let bucket = try await S3Bucket()
        var call = S3Call("PUT", key: "k")
        call.headers = [("x-amz-meta-sha256", SHA256.hexDigest("other".utf8))]
        call.body = .bytes(Array("hello".utf8))
        call.payloadHash = SHA256.hexDigest("hello".utf8)
        _ = try await bucket.client().send(call)
        await #expect { try await bucket.store.get("k", to: bucket.folder("back")) } throws: {
            isBlobError($0, .corrupt)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: bucket.folder.path).isEmpty)
    }

    @Test func `A missing object is reported as not found`() async throws {
        let bucket = try await S3Bucket()
        await #expect { try await bucket.store.get("none", to: bucket.folder("back")) } throws: {
            isBlobError($0, .notFound)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: bucket.folder.path).isEmpty)
    }

    @Test func `An unwritable target folder is a local failure`() async throws {
        let bucket = try await S3Bucket()
        _ = try await bucket.store.put(bucket.file("x"), key: "k", metadata: metadata)
        await #expect { try await bucket.store.get("k", to: bucket.folder("no/such/folder/x")) } throws: {
            isBlobError($0, .localIO)
        }
    }

    @Test func `Progress ends at the file's size`() async throws {
        let bucket = try await S3Bucket()
        let (up, down) = (Seen(), Seen())
        let source = try bucket.file(sizeBytes: 3 << 20)
        _ = try await bucket.store.put(
            source, key: "k", metadata: metadata, sha256: nil, ifAbsent: true, onProgress: up.add)
        _ = try await bucket.store.get("k", to: bucket.folder("back"), onProgress: down.add)
        #expect(up.values.last == 3 << 20)
        #expect(up.values == up.values.sorted())
        #expect(down.values.last == 3 << 20)
    }

    @Test func `A missing bucket is reported as missing`() async throws {
        let bucket = try await S3Bucket()
        let store = S3Store(client: try bucket.client(bucket: bucket.name + "-none"))
        for operation in [
            { _ = try await store.head("k") }, { _ = try await store.get("k", to: bucket.folder("back")) },
            { _ = try await store.put(bucket.file("x"), key: "k", metadata: BlobMetadata()) },
            { _ = try await store.put(bucket.file(sizeBytes: 2 << 20), key: "k", metadata: BlobMetadata()) },
        ] as [() async throws -> Void] {
            await #expect { try await operation() } throws: {
                isBlobError($0, .noSuchBucket) && "\($0)".contains(bucket.name + "-none")
            }
        }
    }

    @Test func `A missing bucket is created on request`() async throws {
        let bucket = try await S3Bucket()
        var options = S3Options()
        options.createsBucket = true
        let store = S3Store(client: try bucket.client(bucket: bucket.name + "-new", options: options))
        #expect(try await store.head("k") == nil)
        #expect(try await store.put(bucket.file("x"), key: "k", metadata: BlobMetadata()) == .stored)
        #expect(try await store.head("k")?.sizeBytes == 1)
    }

    @Test func `Wrong access keys are refused with a reason`() async throws {
        let bucket = try await S3Bucket()
        for (client, word) in [
            (try bucket.client(secret: "wrong-secret"), "its secret is wrong"),
            (try bucket.client(accessKey: "test:nobody"), "the access key"),
        ] {
            let store = S3Store(client: client)
            for operation in [
                { _ = try await store.head("k") }, { _ = try await store.get("k", to: bucket.folder("back")) },
                { _ = try await store.put(bucket.file("x"), key: "k", metadata: BlobMetadata()) },
                { try await store.delete("k") },
            ] as [() async throws -> Void] {
                await #expect { try await operation() } throws: {
                    isBlobError($0, .refused) && "\($0)".contains(word) && !"\($0)".contains("wrong-secret")
                }
            }
        }
    }

    @Test(arguments: [Duration.seconds(7200), .seconds(-7200)])
    func `A wrong local clock is compensated`(_ ahead: Duration) async throws {
        let bucket = try await S3Bucket()
        let put = S3Store(client: try bucket.client(clockAhead: ahead))
        #expect(try await put.put(bucket.file("x"), key: "k", metadata: BlobMetadata()) == .stored)
        let head = S3Store(client: try bucket.client(clockAhead: ahead))
        #expect(try await head.head("k")?.sizeBytes == 1)
        let url = try #require(try head.presignedURL("k", expires: .seconds(60), contentType: nil, fileName: nil))
        #expect(try SpawnedProgram.output(of: ["curl", "-sS", url]) == "x")
    }

    @Test func `A wrong region is corrected from the server's response`() async throws {
        let bucket = try await S3Bucket()
        var options = S3Options()
        options.region = "eu-west-1"
        let put = S3Store(client: try bucket.client(options: options))
        #expect(try await put.put(bucket.file("x"), key: "k", metadata: BlobMetadata()) == .stored)
        let head = S3Store(client: try bucket.client(options: options))
        #expect(try await head.head("k")?.sizeBytes == 1)
    }

    @Test func `A server that does not listen is unreachable`() async throws {
        let bucket = try await S3Bucket()
        let port = try LoopbackListener.freePort()
        let store = S3Store(client: try bucket.client(endpoint: "http://127.0.0.1:\(port)"))
        await #expect { try await store.head("k") } throws: {
            isBlobError($0, .unreachable) && ($0 as? BlobError)?.isTransient == true
                && ($0 as? BlobError)?.exitStatus == .unavailable
        }
    }
}

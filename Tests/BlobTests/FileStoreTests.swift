import Crypto
import Foundation
import TestSupport
import Testing

@testable import Blob

@Suite struct FileStoreTests {
    private let folder: TemporaryFolder
    private let store: any BlobStore

    init() throws {
        folder = try TemporaryFolder()
        store = try openStore("file:\(folder("store"))", environment: { _ in nil })
    }

    private func file(_ text: String, _ name: String = "source", isFinal: Bool = false) throws -> LocalFile {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder(name)))
        return try LocalFile(path: folder(name), isFinal: isFinal)
    }

    private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    private let metadata = BlobMetadata(
        contentType: "video/mp4", fileName: "кот.mp4", user: ["title": "Кот", "source-url": "https://example.com/?q=1"])

    @Test func `An object is read back with its metadata`() async throws {
        #expect(try await store.head("video/a b/кот.mp4") == nil)
        #expect(try await store.put(file("hello"), key: "video/a b/кот.mp4", metadata: metadata) == .stored)
        let info = try #require(try await store.head("video/a b/кот.mp4"))
        #expect(info.sizeBytes == 5)
        #expect(info.metadata.contentType == "video/mp4")
        #expect(info.metadata.fileName == "кот.mp4")
        #expect(info.metadata.user["title"] == "Кот")
        #expect(info.metadata.sha256 == SHA256.hexDigest("hello".utf8))
        #expect(try await store.get("video/a b/кот.mp4", to: folder("back")) == info)
        #expect(try text(folder("back")) == "hello")
        #expect(try text(#require(store.localPath("video/a b/кот.mp4"))) == "hello")
    }

    @Test func `An empty file can be stored`() async throws {
        #expect(try await store.put(file(""), key: "empty", metadata: BlobMetadata()) == .stored)
        #expect(try await store.get("empty", to: folder("back")).sizeBytes == 0)
    }

    @Test func `An existing object is kept unless replacement is requested`() async throws {
        #expect(try await store.put(file("one"), key: "k", metadata: metadata) == .stored)
        guard case .existed(let info) = try await store.put(file("two"), key: "k", metadata: BlobMetadata()) else {
            Issue.record("overwritten")
            return
        }
        #expect(info.metadata.user["title"] == "Кот")
        #expect(try text(folder("store/k")) == "one")
        let outcome = try await store.put(
            file("three"), key: "k", metadata: BlobMetadata(), sha256: nil, ifAbsent: false, onProgress: nil)
        #expect(outcome == .stored)
        #expect(try text(folder("store/k")) == "three")
        #expect(try await store.head("k")?.metadata.user["title"] == nil)
    }

    @Test func `Only one of many concurrent writers stores the object`() async throws {
        let sources = try (0..<16).map { try file("writer \($0)", "source\($0)") }
        let store = store
        let stored = try await withThrowingTaskGroup(of: String?.self) { group in
            for source in sources {
                group.addTask {
                    let outcome = try await store.put(
                        source, key: "a/b/c", metadata: BlobMetadata(user: ["by": source.path]))
                    return outcome == .stored ? source.path : nil
                }
            }
            return try await group.reduce(into: []) { $0 += [$1].compactMap(\.self) }
        }
        try #require(stored.count == 1)
        #expect(try text(folder("store/a/b/c")) == text(stored[0]))
        #expect(try await store.head("a/b/c")?.metadata.user["by"] == stored[0])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder("store/.tgpipe/partial")).isEmpty)
    }

    @Test func `A file that differs from its declared size or hash is not stored`() async throws {
        await #expect {
            _ = try await store.put(file("hello"), key: "k", metadata: metadata, sha256: SigV4.emptyPayload)
        } throws: {
            ($0 as? BlobError)?.code == .corrupt
        }
        #expect(try await store.head("k") == nil)
    }

    @Test func `A damaged object is not returned`() async throws {
        _ = try await store.put(file("hello"), key: "k", metadata: metadata)
        try Data("hullo".utf8).write(to: URL(fileURLWithPath: folder("store/k")))
        await #expect { _ = try await store.get("k", to: folder("back")) } throws: {
            ($0 as? BlobError)?.code == .corrupt
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["source", "store"])
    }

    @Test func `Metadata recorded for another size does not apply to the object`() async throws {
        _ = try await store.put(file("hello"), key: "k", metadata: metadata)
        try Data("longer".utf8).write(to: URL(fileURLWithPath: folder("store/k")))
        #expect(try await store.head("k")?.metadata == BlobMetadata())
    }

    @Test func `A file put there by hand is an object without metadata`() async throws {
        try FileManager.default.createDirectory(atPath: folder("store/x"), withIntermediateDirectories: true)
        try Data("by hand".utf8).write(to: URL(fileURLWithPath: folder("store/x/y")))
        #expect(try await store.head("x/y")?.sizeBytes == 7)
        #expect(try await store.get("x/y", to: folder("back")).metadata == BlobMetadata())
    }

    @Test func `Folders and symbolic links are not objects`() async throws {
        _ = try await store.put(file("hello"), key: "a/b", metadata: metadata)
        try FileManager.default.createSymbolicLink(atPath: folder("store/link"), withDestinationPath: "/etc/passwd")
        #expect(try await store.head("a") == nil)
        #expect(try await store.head("a/b/c") == nil)
        #expect(try await store.head("link") == nil)
        await #expect(throws: BlobError.self) { try await store.put(file("x"), key: "a/b/c", metadata: metadata) }
    }

    @Test(arguments: [
        "../x", "a/../../x", "/etc/x", "a//b", ".tgpipe/lock", ".tgpipe", "", "a\u{0}b",
        String(repeating: "k", count: 251),
    ])
    func `A key that leads out of the store's folder is refused`(_ key: String) async throws {
        let source = try file("x")
        for operation in [
            { _ = try await store.head(key) }, { _ = try await store.get(key, to: folder("back")) },
            { try await store.delete(key) }, { _ = try await store.put(source, key: key, metadata: BlobMetadata()) },
        ] as [() async throws -> Void] {
            await #expect { try await operation() } throws: { ($0 as? BlobError)?.code == .invalid }
        }
    }

    @Test func `Deleting an object deletes its metadata`() async throws {
        _ = try await store.put(file("hello"), key: "a/k", metadata: metadata)
        try await store.delete("a/k")
        #expect(try await store.head("a/k") == nil)
        #expect(!FileManager.default.fileExists(atPath: folder("store/.tgpipe/meta/a/k.json")))
        try await store.delete("a/k")
        await #expect { _ = try await store.get("a/k", to: folder("back")) } throws: {
            ($0 as? BlobError)?.code == .notFound
        }
    }

    @Test func `A final file is hard-linked and any other file is copied`() async throws {
        let inode = { (path: String) in
            try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
        }
        _ = try await store.put(file("final", "final", isFinal: true), key: "final", metadata: metadata)
        _ = try await store.put(file("open", "open"), key: "open", metadata: metadata)
        #expect(try inode(folder("store/final")) == inode(folder("final")))
        #expect(try inode(folder("store/open")) != inode(folder("open")))
    }

    @Test func `A large file is copied completely`() async throws {
        let bytes = Data((0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
        try bytes.write(to: URL(fileURLWithPath: folder("large")))
        _ = try await store.put(LocalFile(path: folder("large")), key: "large", metadata: metadata)
        _ = try await store.get("large", to: folder("back"))
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder("back"))) == bytes)
    }

    @Test func `Metadata that S3 would refuse is refused in a folder too`() async throws {
        let tooMuch = BlobMetadata(user: ["url": String(repeating: "x", count: 3000)])
        await #expect(throws: BlobError.self) { try await store.put(file("x"), key: "k", metadata: tooMuch) }
    }

    @Test func `Partial files of a killed process are removed once they are old`() async throws {
        let aside = folder("store/.tgpipe/partial")
        let leftOver = { try FileManager.default.contentsOfDirectory(atPath: aside) }
        try FileManager.default.createDirectory(atPath: aside, withIntermediateDirectories: true)
        try Data().write(to: URL(fileURLWithPath: aside + "/.tgpipe-1.part"))
        _ = try await store.put(file("x"), key: "k", metadata: metadata)
        #expect(try leftOver() == [".tgpipe-1.part"])
        TemporaryObject.removeStale(in: aside, afterSeconds: -2)
        #expect(try leftOver().isEmpty)
    }

    @Test func `A folder or a device cannot be stored`() {
        #expect(throws: BlobError.self) { try LocalFile(path: folder.path) }
        #expect(throws: BlobError.self) { try LocalFile(path: "/dev/null") }
        #expect(throws: BlobError.self) { try LocalFile(path: folder("missing")) }
    }

    @Test func `A cancelled put stores nothing`() async throws {
        let source = try file("hello")
        let store = store
        let put = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await store.put(source, key: "k", metadata: BlobMetadata())
        }
        await #expect { _ = try await put.value } throws: { ($0 as? BlobError)?.code == .cancelled }
        #expect(try await store.head("k") == nil)
    }

    @Test func `A folder store offers no presigned URLs`() throws {
        #expect(try store.presignedURL("k", expires: .seconds(60), contentType: nil, fileName: nil) == nil)
    }
}

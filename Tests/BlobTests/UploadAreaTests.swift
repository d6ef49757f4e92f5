import Crypto
import Foundation
import JSON
import Synchronization
import TestSupport
import Testing

@testable import Blob

@Suite struct UploadAreaTests {
    private let metadata = BlobMetadata(contentType: "video/mp4", fileName: "кот.mp4", user: ["title": "Кот"])

    private static let name = "0123456789abcdef0123456789abcdef-1"

    private func area(_ bucket: S3Bucket) throws -> UploadArea { UploadArea(store: try bucket.store) }

    private func finish(
        _ upload: StreamedUpload, as key: String, of bytes: [UInt8]
    ) async throws -> PutOutcome {
        try await upload.finish(
            as: key, metadata: metadata, sha256: SHA256.hexDigest(bytes), onCopy: { _ throws(BlobError) in },
            onProgress: { _ in })
    }

    private let bytes = (0..<(6 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 11) }

    /// Begins an upload of two pieces.
    private func begin(_ area: UploadArea, _ name: String) async throws -> StreamedUpload {
        let upload = try await area.begin(name)
        try await upload.put(Array(bytes[..<(5 << 20)]), as: 1)
        try await upload.put(Array(bytes[(5 << 20)...]), as: 2)
        return upload
    }

    @Test func `Pieces become an object with its metadata, and nothing else remains`() async throws {
        let bucket = try await S3Bucket()
        let area = try area(bucket)
        let upload = try await begin(area, Self.name)
        #expect(try await area.contents().map(\.name) == [Self.name])
        #expect(try await area.store.head("k") == nil)
        #expect(try await finish(upload, as: "k", of: bytes) == .stored)
        #expect(await upload.discard())
        let info = try await bucket.store.get("k", to: bucket.folder("back"))
        #expect(info.metadata.sha256 == SHA256.hexDigest(bytes))
        #expect(info.metadata.user["title"] == "Кот" && info.metadata.fileName == "кот.mp4")
        #expect(Array(try Data(contentsOf: URL(filePath: bucket.folder("back")))) == bytes)
        #expect(try await area.contents().isEmpty)
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test func `An object that is there is kept`() async throws {
        let bucket = try await S3Bucket()
        #expect(try await bucket.store.put(bucket.file("first"), key: "k", metadata: metadata) == .stored)
        let upload = try await begin(try area(bucket), Self.name)
        #expect(try await finish(upload, as: "k", of: bytes) != .stored)
        #expect(await upload.discard())
        #expect(try await bucket.store.head("k")?.sizeBytes == 5)
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test func `A first piece begins the object anew, and a missing piece is refused`() async throws {
        let bucket = try await S3Bucket()
        let upload = try await begin(try area(bucket), Self.name)
        let other = [UInt8](repeating: 7, count: 100)
        await #expect { try await upload.put(other, as: 9) } throws: { isBlobError($0, .invalid) }
        try await upload.put(other, as: 1)
        #expect(try await finish(upload, as: "k", of: other) == .stored)
        #expect(try await bucket.store.head("k")?.sizeBytes == 100)
        #expect(await upload.discard())
        await #expect { try await upload.put(other, as: 10_001) } throws: { isBlobError($0, .tooLarge) }
    }

    @Test func `An upload that another process has removed is a failure that passes`() async throws {
        let bucket = try await S3Bucket()
        let area = try area(bucket)
        let upload = try await begin(area, Self.name)
        try await area.remove(Self.name, uploadID: nil)
        await #expect { try await upload.put([1], as: 3) } throws: {
            isBlobError($0, .notFound) && ($0 as? BlobError)?.isTransient == true
        }
        await #expect { try await finish(upload, as: "k", of: bytes) } throws: { isBlobError($0, .notFound) }
        #expect(try await bucket.store.head("k") == nil)
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test(arguments: [true, false])
    func `A lost answer of any step is no failure`(_ copiesAtOnce: Bool) async throws {
        let bucket = try await S3Bucket()
        let proxy = try bucket.proxy(
            .init("POST", contains: "uploadId=", .loseAnswer), .init("PUT", contains: "partNumber=2&", .loseAnswer),
            .init("PUT", header: "x-amz-copy-source", .loseAnswer), .init("POST", contains: "/k?uploadId=", .loseAnswer)
        )
        var area = UploadArea(store: try bucket.store(behind: proxy))
        if !copiesAtOnce { area.mostBytesOfACopy = 100 }
        let upload = try await begin(area, Self.name)
        #expect(try await finish(upload, as: "k", of: bytes) == .stored)
        #expect(await upload.discard())
        #expect(try await bucket.store.head("k")?.sizeBytes == Int64(bytes.count))
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test(arguments: [true, false])
    func `An upload that began twice, because an answer was lost, leaves nothing`(_ isFinished: Bool) async throws {
        let bucket = try await S3Bucket()
        let proxy = try bucket.proxy(.init("POST", contains: "uploads=", .loseAnswer))
        let upload = try await begin(UploadArea(store: try bucket.store(behind: proxy)), Self.name)
        #expect(try await bucket.unfinishedUploads() == 2)
        // Another process has to look for both.
        #expect(upload.id == nil)
        if isFinished { #expect(try await finish(upload, as: "k", of: bytes) == .stored) }
        #expect(await upload.discard())
        #expect(try await bucket.unfinishedUploads() == 0)
        #expect(try await area(bucket).contents().isEmpty)
    }

    @Test(arguments: [true, false])
    func `An object gets its key in one call, or in parts if it is too large for that`(_ isLarge: Bool) async throws {
        let bucket = try await S3Bucket()
        let proxy = try bucket.proxy()
        var area = UploadArea(store: try bucket.store(behind: proxy, options: S3Options()))
        if isLarge { area.mostBytesOfACopy = 100 }
        let upload = try await begin(area, Self.name)
        #expect(try await finish(upload, as: "k", of: bytes) == .stored)
        #expect(await upload.discard())
        #expect(proxy.requests.count { $0.method == "POST" && $0.target.contains("uploads=") } == (isLarge ? 2 : 1))
        let copies = proxy.requests.filter { $0.header("x-amz-copy-source") != nil }
        #expect(
            !copies.isEmpty && copies.allSatisfy { $0.header("x-amz-copy-source-if-match")?.hasPrefix("\"") == true })
        // A part that is the whole object has no range.
        #expect(copies.allSatisfy { $0.header("x-amz-copy-source-range") == nil })
        let info = try #require(try await bucket.store.head("k"))
        #expect(info.sizeBytes == Int64(bytes.count) && info.metadata.sha256 == SHA256.hexDigest(bytes))
        #expect(info.metadata.contentType == "video/mp4" && info.metadata.user["title"] == "Кот")
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test func `A copy that is not whole is removed`() async throws {
        let bucket = try await S3Bucket()
        let ours = [("x-amz-meta-\(BlobMetadata.sha256Name)", SHA256.hexDigest(bytes))]
        let proxy = try bucket.proxy(
            .init("HEAD", contains: "/k", .answer(404)), .init("HEAD", contains: "/k", .answer(200, headers: ours)),
            .init("PUT", header: "x-amz-copy-source", .answer(200, body: "<CopyObjectResult></CopyObjectResult>")))
        let upload = try await begin(UploadArea(store: try bucket.store(behind: proxy)), Self.name)
        await #expect { try await finish(upload, as: "k", of: bytes) } throws: {
            isBlobError($0, .storeFailed) && ($0 as? BlobError)?.isTransient == true
        }
        #expect(proxy.requests.contains { $0.method == "DELETE" && $0.target.hasSuffix("/k") })
    }

    @Test func `A 404 that is no answer of S3 does not count as gone`() async throws {
        let bucket = try await S3Bucket()
        let proxy = try bucket.proxy(.init("DELETE", times: .max, .answer(404, body: "<html>not here</html>")))
        let area = UploadArea(store: try bucket.store(behind: proxy))
        let upload = try await begin(area, Self.name)
        #expect(await upload.discard() == false)
        await #expect { try await area.remove(Self.name, uploadID: nil) } throws: { isBlobError($0, .configuration) }
        await #expect { try await area.store.delete("k") } throws: { isBlobError($0, .configuration) }
        #expect(try await bucket.unfinishedUploads() == 1)
        proxy.stopFailing()
        #expect(await upload.discard())
        try await area.remove(Self.name, uploadID: upload.id)
        try await area.store.delete("k")
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test func `Keys that no upload has are left out, whatever the server lists`() async throws {
        let bucket = try await S3Bucket()
        let keys = [
            ".tgpipe/uploads/\(Self.name)", "../x", ".tgpipe/uploads/ABC", ".tgpipe/uploads/abc-1",
            ".tgpipe/uploads/a/b", "video/x.mp4",
            ".tgpipe/uploads/", "other/.tgpipe/uploads/\(Self.name)", ".tgpipe/uploads/&#47;x",
        ]
        let list = keys.map {
            "<Upload><Key>\($0)</Key><UploadId>i</UploadId><Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload>"
        }
        let page =
            "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>"
            + "\(list.joined())<Upload><Key>.tgpipe/uploads/open</ListMultipartUploadsResult>"
        let proxy = try bucket.proxy(.init("GET", contains: "uploads=", times: .max, .answer(200, body: page)))
        let contents = try await UploadArea(store: try bucket.store(behind: proxy)).contents()
        #expect(Set(contents.map(\.name)) == [Self.name])
        #expect(contents.allSatisfy { ($0.age ?? .zero) > .seconds(86_400) })
        // A page that leads to itself ends.
        #expect(proxy.requests.count { $0.target.contains("uploads=") } <= 3)
        let foreign = try bucket.proxy(.init("GET", contains: "uploads=", .answer(200, body: "<html></html>")))
        await #expect { try await UploadArea(store: try bucket.store(behind: foreign)).contents() } throws: {
            isBlobError($0, .protocolError)
        }
    }

    @Test func `Pieces grow when a file would have more than 10,000`() throws {
        #expect(try UploadArea.pieceBytes(sizeBytes: 1, atMost: 10) == 5 << 20)
        #expect(try UploadArea.pieceBytes(sizeBytes: nil, atMost: 4000 << 20) == 5 << 20)
        #expect(try UploadArea.pieceBytes(sizeBytes: 60 << 30, atMost: .max) == 7 << 20)
        #expect(try UploadArea.pieceBytes(sizeBytes: nil, atMost: .max) == 525 << 20)
    }

    @Test func `Names and keys of the place are not for others`() async throws {
        let bucket = try await S3Bucket()
        let area = try area(bucket)
        for name in [
            "", "A", "a/b", "..", "abc-1", Self.name.uppercased(), Self.name + "-1", String(Self.name.dropLast()),
        ] {
            await #expect { try await area.begin(name) } throws: { isBlobError($0, .invalid) }
        }
        await #expect {
            try await bucket.store.put(bucket.file("x"), key: ".tgpipe/uploads/x", metadata: metadata)
        } throws: {
            isBlobError($0, .invalid)
        }
        let key = ".tgpipe/uploads/\(Self.name)"
        await #expect { try await bucket.store.delete(key) } throws: { isBlobError($0, .invalid) }
        await #expect { try await bucket.store.get(key, to: bucket.folder("x")) } throws: { isBlobError($0, .invalid) }
        #expect { try bucket.store.presignedURL(key, expires: .seconds(9), contentType: nil, fileName: nil) } throws: {
            isBlobError($0, .invalid)
        }
    }
}

import Crypto
import Foundation
import JSON
import Synchronization
import TestSupport
import Testing

@testable import Blob

@Suite struct UploadAreaTests {
    private let metadata = BlobMetadata(contentType: "video/mp4", fileName: "кот.mp4", user: ["title": "Кот"])

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
        let upload = try await begin(area, "one-1")
        #expect(try await area.contents().map(\.name) == ["one-1"])
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
        let upload = try await begin(try area(bucket), "one-1")
        #expect(try await finish(upload, as: "k", of: bytes) != .stored)
        #expect(await upload.discard())
        #expect(try await bucket.store.head("k")?.sizeBytes == 5)
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test func `A first piece begins the object anew, and a missing piece is refused`() async throws {
        let bucket = try await S3Bucket()
        let upload = try await begin(try area(bucket), "one-1")
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
        let upload = try await begin(area, "one-1")
        #expect(try await area.remove("one-1", uploadID: nil))
        await #expect { try await upload.put([1], as: 3) } throws: {
            isBlobError($0, .storeFailed) && ($0 as? BlobError)?.isTransient == true
        }
        await #expect { try await finish(upload, as: "k", of: bytes) } throws: { isBlobError($0, .storeFailed) }
        #expect(try await bucket.store.head("k") == nil)
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test func `A lost answer of any step is no failure`() async throws {
        let bucket = try await S3Bucket()
        let proxy = try bucket.proxy(
            .init("POST", contains: "uploadId=", .loseAnswer), .init("PUT", contains: "partNumber=2&", .loseAnswer),
            .init("PUT", header: "x-amz-copy-source", .loseAnswer), .init("POST", contains: "/k?uploadId=", .loseAnswer)
        )
        let upload = try await begin(UploadArea(store: try bucket.store(behind: proxy)), "one-1")
        #expect(try await finish(upload, as: "k", of: bytes) == .stored)
        #expect(await upload.discard())
        #expect(try await bucket.store.head("k")?.sizeBytes == Int64(bytes.count))
        #expect(try await bucket.unfinishedUploads() == 0)
    }

    @Test func `Keys that no upload has are left out, whatever the server lists`() async throws {
        let bucket = try await S3Bucket()
        let keys = [
            ".tgpipe/uploads/abc-1", "../x", ".tgpipe/uploads/ABC", ".tgpipe/uploads/a/b", "video/x.mp4",
            ".tgpipe/uploads/", "other/.tgpipe/uploads/abc-2", ".tgpipe/uploads/&#47;x",
        ]
        let list = keys.map {
            "<Upload><Key>\($0)</Key><UploadId>i</UploadId><Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload>"
        }
        let page =
            "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>"
            + "\(list.joined())<Upload><Key>.tgpipe/uploads/open</ListMultipartUploadsResult>"
        let proxy = try bucket.proxy(.init("GET", contains: "uploads=", times: .max, .answer(200, body: page)))
        let contents = try await UploadArea(store: try bucket.store(behind: proxy)).contents()
        #expect(Set(contents.map(\.name)) == ["abc-1"])
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
        for name in ["", "A", "a/b", "..", "a b", String(repeating: "a", count: 101)] {
            await #expect { try await area.begin(name) } throws: { isBlobError($0, .invalid) }
        }
        await #expect {
            try await bucket.store.put(bucket.file("x"), key: ".tgpipe/uploads/x", metadata: metadata)
        } throws: {
            isBlobError($0, .invalid)
        }
    }
}

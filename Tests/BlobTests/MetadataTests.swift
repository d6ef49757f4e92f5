import Payloads
import HTTP
import Testing

@testable import Blob

@Suite struct MetadataTests {
    private func roundTrip(_ metadata: BlobMetadata) throws -> BlobMetadata {
        let headers = try MetadataHeaders.headers(for: metadata)
        // As servers do it: any order, any case.
        return MetadataHeaders.metadata(in: headers.reversed().map { ($0.name.uppercased(), $0.value) })
    }

    @Test(arguments: [
        ("video/mp4", "video/mp4"), ("image/png; q=1", "image/png; q=1"), ("text/plain", "text/plain"),
        ("image/svg+xml", "application/octet-stream"), ("Image/SVG+XML ; charset=utf-8", "application/octet-stream"),
        ("text/html", "application/octet-stream"), ("application/xhtml+xml", "application/octet-stream"),
        ("text/xml", "application/octet-stream"), ("application/javascript", "application/octet-stream"),
    ])
    func `A type that can hold scripts is not stored as the type of a stranger's file`(given: String, stored: String) {
        let media = MediaMetadata(
            content: FileContent(sizeBytes: 1, sha256: nil, contentType: given), fileName: nil,
            origin: MediaOrigin(sourceURL: nil, normalizedURL: nil, domain: nil, fetchedAt: nil),
            description: MediaDescription())
        #expect(MediaObject.metadata(of: media).contentType == stored)
    }

    @Test(arguments: [
        "plain", "two words", " spaces around ", "a  b", "Кот и собака", "猫", "🎬 e\u{301}", "100%", "%41",
        "a\nb\r\n\u{0}c",
        "=?UTF-8?Q?x?=", "a=?b", "=?=?", "\"quoted\\\"", "https://example.com/watch?v=%D0%BA&t=1#x", "a,b;c",
    ])
    func `Any text survives the round trip through headers`(_ text: String) throws {
        let metadata = BlobMetadata(user: ["title": text])
        #expect(try roundTrip(metadata) == metadata)
    }

    @Test(arguments: ["Кот", "%", "=?UTF-8?Q?x?=", "a\r\nx-amz-acl: public-read", "猫", "\u{7F}"])
    func `Header values are plain ASCII`(_ text: String) throws {
        let header = try #require(try MetadataHeaders.headers(for: BlobMetadata(user: ["title": text])).first)
        #expect(header.value.utf8.allSatisfy { (0x21...0x7E).contains($0) })
        #expect(!header.value.contains("=?"))
    }

    @Test(arguments: [255, 256, 257, 258, 511, 512, 513, 1500])
    func `Long values continue in numbered headers`(_ length: Int) throws {
        for text in [String(repeating: "x", count: length), String(repeating: "é", count: length / 6)] {
            let headers = try MetadataHeaders.headers(for: BlobMetadata(user: ["source-url": text]))
            #expect(headers.allSatisfy { $0.value.utf8.count <= 256 })
            #expect(MetadataHeaders.metadata(in: headers).user["source-url"] == text)
        }
    }

    @Test(arguments: 0..<3)
    func `A long value is never split inside an escape`(_ padding: Int) throws {
        let text = String(repeating: "x", count: padding) + String(repeating: "é", count: 100)
        for header in try MetadataHeaders.headers(for: BlobMetadata(user: ["t": text])) {
            let escapes = header.value.drop { $0 == "x" }
            #expect(escapes.utf8.count % 3 == 0)
            #expect(escapes.first == "%")
        }
    }

    @Test func `Metadata over S3's limit is refused`() {
        #expect {
            try MetadataHeaders.headers(for: BlobMetadata(user: ["url": String(repeating: "x", count: 2048)]))
        } throws: {
            ($0 as? BlobError)?.code == .tooLarge
        }
    }

    @Test(arguments: ["", "Title", "a_b", "a--2", "-a", "a-", "a b", "é", "a:b", String(repeating: "a", count: 65)])
    func `Names that are invalid in a header are refused`(_ name: String) {
        #expect { try MetadataHeaders.headers(for: BlobMetadata(user: [name: "x"])) } throws: {
            ($0 as? BlobError)?.code == .invalid
        }
    }

    @Test(arguments: ["video", "/mp4", "video/", "video/mp4\r\nx: y", "vidéo/mp4"])
    func `Invalid content types are refused`(_ type: String) {
        #expect { try MetadataHeaders.headers(for: BlobMetadata(contentType: type)) } throws: {
            ($0 as? BlobError)?.code == .invalid
        }
    }

    @Test func `Metadata written by other programs is read unchanged`() {
        let metadata = MetadataHeaders.metadata(in: [
            ("x-amz-meta-note", "50% off"), ("x-amz-meta-part--1", "a"), ("x-amz-meta-v--x2", "b"),
            ("x-amz-meta-bad", "%FF"), ("Content-Type", "text/plain"), ("ETag", "x"),
        ])
        #expect(metadata.user == ["note": "50% off", "part--1": "a", "v--x2": "b", "bad": "%FF"])
        #expect(metadata.contentType == "text/plain")
    }

    @Test func `A malformed SHA-256 value is ignored`() {
        #expect(BlobMetadata(user: ["sha256": SigV4.emptyPayload]).sha256 == SigV4.emptyPayload)
        #expect(BlobMetadata(user: ["sha256": SigV4.emptyPayload.uppercased()]).sha256 == nil)
        #expect(BlobMetadata(user: ["sha256": "abc"]).sha256 == nil)
    }
}

@Suite struct ContentDispositionTests {
    /// The name after it was written to a header and read from it.
    private func stored(_ name: String) throws -> String? {
        let headers = try MetadataHeaders.headers(for: BlobMetadata(fileName: name))
        return MetadataHeaders.metadata(in: headers).fileName
    }

    @Test(arguments: ["a.mp4", "a b.mp4", "кот.mp4", "猫 \"x\" 100%.mp4", "a;b=c.mp4", "e\u{301}.mp3", "'quoted'.mp4"])
    func `File names survive the round trip through Content-Disposition`(_ name: String) throws {
        #expect(try stored(name) == name)
    }

    @Test func `A name with non-ASCII characters is given in both forms`() {
        #expect(
            ContentDisposition.attachment("кот.mp4")
                == "attachment; filename=\"___.mp4\"; filename*=UTF-8''%D0%BA%D0%BE%D1%82.mp4")
    }

    @Test(arguments: [
        ("../../etc/passwd", ".._.._etc_passwd"), ("a\r\nb", "a_b"), ("..", "_"), ("a\\b", "a_b"), ("\u{85}x", "_x"),
    ])
    func `File names that contain paths are made harmless`(_ name: String, _ harmless: String) throws {
        #expect(ObjectName.harmless(name) == harmless)
        #expect(try stored(name) == harmless)
    }

    @Test func `Long names are cut between characters`() {
        let name = ObjectName.harmless(String(repeating: "猫", count: 300))
        #expect(name == String(repeating: "猫", count: 66))
    }

    @Test(arguments: [
        (".mp4", ".mp4"), (".tar.gz", ".gz"), (". Part 2", ""), (".averylongword", ""), (".", ""),
    ])
    func `A long name keeps its extension`(_ ending: String, _ kept: String) {
        let name = ObjectName.harmless(String(repeating: "a", count: 300) + ending)
        #expect(name == String(repeating: "a", count: 200 - kept.count) + kept)
    }

    @Test(arguments: [
        ("attachment; filename=plain.mp4", "plain.mp4"), ("inline; FileName=\"q\\\"x.mp4\"", "q\"x.mp4"),
        ("attachment; filename*=utf-8'en'%E7%8C%AB", "猫"), ("attachment; filename=\"a; b=c\"", "a; b=c"),
        ("attachment; filename*=UTF-8''%FF; filename=\"x\"", "x"),
        ("attachment; filename=\"my%20clip%C3%A9.mp4\"", "my clipé.mp4"),
        ("attachment; filename=\"100%.mp4\"", "100%.mp4"),
        ("attachment; filename=\"caf\u{e9}.mp4\"", "café.mp4"),
        ("attachment; filename*=iso-8859-1''caf%E9.mp4", "café.mp4"),
        ("attachment; filename=\"=?UTF-8?B?0LrQvtGCLm1wNA==?=\"", "кот.mp4"),
        ("attachment; filename==?utf-8?Q?caf=C3=A9_100%.mp4?=", "café 100%.mp4"),
        ("attachment; filename=\"=?UTF-8?Q?a_?= =?ISO-8859-1?Q?=E9?=.mp4\"", "a é.mp4"),
        ("attachment; filename=\"=?x?y?z\"", "=?x?y?z"), ("attachment; filename=\"C:\\dir\\clip.mp4\"", "clip.mp4"),
        ("attachment; filename=\"../../etc/passwd\"", "passwd"), ("attachment; filename*=UTF-8''..%2Fx.mp4", "x.mp4"),
        ("attachment; filename=\"\"; filename*=UTF-8''; filename=b.mp4", "b.mp4"),
    ])
    func `Content-Disposition headers of other programs are understood`(_ header: String, _ name: String) {
        #expect(ContentDisposition.fileName(in: header) == name)
    }

    @Test(arguments: [
        "", "attachment", "attachment; filename=", "attachment; filename*=x", ";;;==", "\"",
        "attachment; filename=\"\"", "attachment; filename=\"a/\"", "attachment; filename*=UTF-8''",
    ])
    func `A header without a file name gives none`(_ header: String) {
        #expect(ContentDisposition.fileName(in: header) == nil)
    }
}

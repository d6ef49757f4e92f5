import Foundation
import Payloads
import TestSupport
import Testing

@testable import Media

@Suite struct PictureHeaderTests {
    @Test(arguments: [
        ("png", "", PictureHeader.Format.png), ("jpg", "", .jpeg), ("gif", "", .gif), ("bmp", "", .bmp),
        ("tiff", "", .tiff),
        ("webp", "-c:v libwebp", .webp), ("webp", "-c:v libwebp -lossless 1", .webp),
    ])
    func `The size is found without decoding`(_ ending: String, _ options: String, _ format: PictureHeader.Format)
        throws
    {
        let clips = try Clips.shared.get()
        let path = clips.folder("header-\(options.count).\(ending)")
        try clips.run("-f lavfi -i testsrc=s=322x242 -frames:v 1 \(options) \(path)")
        let header = try #require(PictureHeader(ofFile: path))
        #expect(header.format == format)
        if ![.bmp, .tiff].contains(format) { #expect(header.width == 322 && header.height == 242) }
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        // No beginning of a picture is a trap.
        for count in 0..<min(bytes.count, 700) { _ = PictureHeader(Array(bytes.prefix(count))) }
    }

    @Test func `Random bytes behind each beginning are no trap`() {
        var generator = SeededGenerator(seed: 7)
        let beginnings: [[UInt8]] = [
            [0xFF, 0xD8, 0xFF], [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], Array("GIF89a".utf8),
            Array("RIFF0000WEBPVP8X".utf8), Array("RIFF0000WEBPVP8L".utf8), Array("RIFF0000WEBPVP8 ".utf8),
        ]
        for beginning in beginnings {
            for _ in 0..<300 {
                let count = Int.random(in: 0...64, using: &generator)
                let rest = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
                if let header = PictureHeader(beginning + rest), let width = header.width, let height = header.height {
                    #expect(width > 0 && height > 0)
                }
            }
        }
    }

    @Test(arguments: [
        "<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "<html></html>", "%PDF-1.4", "", "BM", "\u{FF}\u{D8}",
        "MZ\u{0}\u{0}",
    ])
    func `Other files are no pictures`(_ text: String) {
        #expect(PictureHeader(Array(text.utf8)) == nil)
    }
}

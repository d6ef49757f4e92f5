@testable import Media
import System
import Glibc
import TestSupport
import Testing

@Suite struct MovieIndexTests {
    private let folder: TemporaryFolder
    private let clips: Clips

    init() throws {
        folder = try TemporaryFolder()
        clips = try Clips.shared.get()
    }

    /// Returns the size at which the index of a growing file is complete; nil if it never is.
    private func arrival(_ bytes: [UInt8], pieces: Int = 4096) throws -> Int? {
        let path = folder("growing")
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var index = MovieIndex()
        var arrivals: [Int] = []
        var size = 0
        while size < bytes.count {
            let piece = bytes[size..<min(bytes.count, size + pieces)]
            #expect(piece.withUnsafeBytes { writeAll(descriptor, $0) } == 0)
            size += piece.count
            if index.becomesComplete(in: .file(descriptor), size: Int64(size)) { arrivals.append(size) }
        }
        #expect(arrivals.count <= 1)
        return arrivals.first
    }

    private func clip(_ flags: String, padding: Int = 6 << 20) throws -> [UInt8] {
        let path = folder("made.mp4")
        try clips.run("-i \(clips.mp4) -c copy \(flags) \(path)")
        let bytes = try #require(SmallFile.readBytes(path, maxBytes: 1 << 26))
        return bytes + box("free", [UInt8](repeating: 0, count: padding))
    }

    private func box(_ name: String, _ content: [UInt8], size: UInt32? = nil) -> [UInt8] {
        let size = size ?? UInt32(content.count + 8)
        return (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) } + Array(name.utf8) + content
    }

    @Test func `Millions of tiny boxes are not looked at one by one`() throws {
        let tiny = Array(repeatElement(box("free", []), count: 5000).joined())
        let bytes = try clip("-movflags +faststart")
        let length = Int(bytes[3])
        #expect(try arrival(Array(bytes[..<length] + tiny + bytes[length...])) == nil)
        #expect(try arrival(Array(bytes[..<length] + tiny.prefix(800) + bytes[length...])) != nil)
    }

    @Test(arguments: [1, 1000, 1 << 20, 64 << 20])
    func `An index at the start is found before the whole file has arrived`(pieces: Int) async throws {
        let bytes = try clip("-movflags +faststart", padding: pieces == 1 ? 4 << 20 : 6 << 20)
        let size = try #require(try arrival(bytes, pieces: pieces))
        #expect(size >= 4 << 20)
        #expect(size < bytes.count || pieces > bytes.count)
        // What is there by then says the same as all of it.
        let early = folder("early.mp4")
        try SmallFile.write(Array(bytes.prefix(size)), to: early)
        #expect(try await probe(early)?.durationSeconds == probe(clips.mp4)?.durationSeconds)
        #expect(try await probe(early)?.width == 160)
    }

    @Test(arguments: ["", "-movflags +frag_keyframe+empty_moov"])
    func `An index that comes last or is incomplete is not waited for`(flags: String) throws {
        #expect(try arrival(try clip(flags)) == nil)
    }

    @Test func `No index is found in malformed files`() throws {
        let rest = [UInt8](repeating: 0, count: 5 << 20)
        let start = box("ftyp", Array("isom0000".utf8))
        let children = (0..<5000).flatMap { _ in box("skip", []) }
        let long: [UInt8] = [0, 0, 0, 1] + Array("moov".utf8) + [UInt8](repeating: 0xff, count: 8)
        let hostile: [[UInt8]] = [
            [], [0], rest, box("moov", []) + rest, start + box("moov", [], size: 0) + rest,
            start + box("moov", [], size: 7) + rest, start + box("moov", box("trak", [], size: 1 << 30)) + rest,
            start + box("moov", children) + rest, start + long + rest, start + start + start + box("mdat", []) + rest,
        ]
        for bytes in hostile { #expect(try arrival(bytes, pieces: 1 << 20) == nil) }
    }

    private func layout(_ bytes: [UInt8]) throws -> MovieLayout? {
        try SmallFile.write(bytes, to: folder("layout"))
        return MovieLayout(ofFile: folder("layout"))
    }

    @Test(arguments: [("-movflags +faststart", true), ("", false), ("-movflags +frag_keyframe+empty_moov", true)])
    func `A video can be streamed if its index comes first`(flags: String, isStreamable: Bool) async throws {
        try SmallFile.write(try clip(flags, padding: 0), to: folder("video"))
        #expect(await MovieLayout.isStreamable(folder("video")) == isStreamable)
        try SmallFile.write(Array("no video".utf8), to: folder("text"))
        #expect(await MovieLayout.isStreamable(folder("text")) == false)
        #expect(await MovieLayout.isStreamable(folder("missing")) == false)
    }

    @Test func `The boxes of a file tell whether its index is at the end, and whether its end is missing`() throws {
        let (first, last) = (try clip("-movflags +faststart", padding: 0), try clip("", padding: 0))
        #expect(try layout(first)?.hasIndexAtEnd == false)
        #expect(try layout(last)?.hasIndexAtEnd == true)
        let fragmented = try clip("-movflags +frag_keyframe+empty_moov", padding: 0)
        #expect(try layout(fragmented)?.hasIndexAtEnd == false)
        for whole in [first, last, fragmented] { #expect(try layout(whole)?.isCutOff == false) }
        #expect(try layout(Array(first.dropLast(20)))?.isCutOff == true)
        #expect(try layout(Array(last.prefix(last.count / 2)))?.isCutOff == true)
        #expect(try layout(first + box("free", []).prefix(4))?.isCutOff == false)
        #expect(try layout(first + [0, 0, 16, 0] + Array("free".utf8))?.isCutOff == false)
        #expect(try layout(box("ftyp", []) + box("mdat", [1, 2]))?.isCutOff == true)
        for other in ["", "ftyp", "<html><body>", "RIFF\u{0}\u{0}\u{0}\u{0}WAVE"] {
            #expect(try layout(Array(other.utf8)) == nil)
        }
        let endless = [0, 0, 0, 1] + Array("mdat".utf8) + [UInt8](repeating: 0xff, count: 8)
        #expect(try layout(endless) == nil)
        #expect(try layout(box("ftyp", []) + endless)?.isCutOff == false)
    }
}

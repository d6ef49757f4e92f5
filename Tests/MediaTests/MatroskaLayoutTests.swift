import Glibc
import System
import TestSupport
import Testing

@testable import Media

@Suite struct MatroskaLayoutTests {
    private let folder: TemporaryFolder
    private let clips: Clips

    init() throws {
        folder = try TemporaryFolder()
        clips = try Clips.shared.get()
    }

    private func layout(_ bytes: some Sequence<UInt8>) throws -> MatroskaLayout? {
        try SmallFile.write(Array(bytes), to: folder("file"))
        return MatroskaLayout(ofFile: folder("file"))
    }

    @Test func `A file that was cut off says so, wherever it was cut`() throws {
        try clips.run("-i \(clips.mp4) -c copy \(folder("whole.mkv"))")
        let bytes = try #require(SmallFile.readBytes(folder("whole.mkv"), maxBytes: 1 << 26))
        #expect(try layout(bytes)?.isCutOff == false)
        for share in [0.1, 0.5, 0.99] {
            #expect(try layout(bytes.prefix(Int(Double(bytes.count) * share)))?.isCutOff == true)
        }
        #expect(try layout(bytes.dropLast())?.isCutOff == true)
        #expect(isCutOff(folder("file")))
        #expect(try layout(bytes + [0])?.isCutOff == false)
    }

    @Test func `A recording of unknown length is not cut off, as far as it can be known`() throws {
        try clips.run("-i \(clips.mp4) -c copy -f matroska -live 1 \(folder("live.mkv"))")
        let bytes = try #require(SmallFile.readBytes(folder("live.mkv"), maxBytes: 1 << 26))
        #expect(try layout(bytes)?.isCutOff == false)
    }

    @Test func `Other files have no such layout, and no number is too large`() throws {
        #expect(try layout([]) == nil)
        #expect(try layout(Array("not a movie".utf8)) == nil)
        #expect(MatroskaLayout(ofFile: clips.mp4) == nil)
        let header: [UInt8] = [0x1A, 0x45, 0xDF, 0xA3, 0x80]
        let segment: [UInt8] = [0x18, 0x53, 0x80, 0x67]
        #expect(try layout(header + segment + [0x01] + [UInt8](repeating: 0xFF, count: 6) + [0xFE])?.isCutOff == true)
        #expect(try layout(header + segment + [0x01] + [UInt8](repeating: 0xFF, count: 7))?.isCutOff == false)
        #expect(try layout([0x1A, 0x45, 0xDF, 0xA3, 0x01] + [UInt8](repeating: 0xFF, count: 7)) == nil)
        #expect(try layout(header + segment)?.isCutOff == true)
    }
}

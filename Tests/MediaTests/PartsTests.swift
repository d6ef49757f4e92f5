import Glibc
import Payloads
import TestSupport
import Testing

@testable import Media

/// Cuts videos into parts with ffmpeg.
@Suite struct PartsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Makes a video of 20 seconds, whose key frames are as far apart as given, in frames of 1/10 s.
    private func video(_ name: String = "long.mp4", keyframes: Int, codec: String = "libx264") throws -> String {
        let picture = "-f lavfi -i testsrc=size=160x120:rate=10:duration=20,noise=alls=40:allf=t -f lavfi -i sine=d=20"
        let form = "-c:v \(codec) -g \(keyframes) -sc_threshold 0 -pix_fmt yuv420p -c:a aac -movflags +faststart"
        try Clips.shared.get().run("\(picture) \(form) \(folder(name))")
        return folder(name)
    }

    private func parts(_ path: String, limit: Int64) async throws -> [VideoParts.Part]? {
        let output = folder("parts-\(limit)")
        #expect(mkdir(output, 0o700) == 0)
        let maker = VideoParts(ffmpeg: "ffmpeg", jail: HelperJail(), limitBytes: limit, timeout: .seconds(60))
        return try await maker.make(from: path, in: output)
    }

    private func size(_ path: String) -> Int64 {
        var info = stat()
        return stat(path, &info) == 0 ? Int64(info.st_size) : 0
    }

    /// Returns the number of pictures in a file.
    private func pictures(_ path: String) throws -> Int {
        let arguments =
            "-v error -select_streams v -count_packets -show_entries stream=nb_read_packets -of csv=p=0 \(path)"
        let text = try SpawnedProgram.output(of: ["ffprobe"] + arguments.split(separator: " ").map(String.init))
        return try #require(Int(text.prefix { $0.isNumber }))
    }

    @Test func `The parts are short enough, play on their own, and have every picture once`() async throws {
        let path = try video(keyframes: 10)
        let limit = size(path) / 3
        let parts = try #require(try await parts(path, limit: limit))
        #expect((4...6).contains(parts.count))
        for part in parts {
            #expect(part.sizeBytes <= limit && part.sizeBytes == size(part.path))
            #expect(try await probe(part.path)?.isPlayable == true)
            #expect(MovieLayout(ofFile: part.path)?.hasIndexAtEnd == false)
        }
        #expect(try parts.map { try pictures($0.path) }.reduce(0, +) == 200)
        let seconds = parts.compactMap(\.durationSeconds).reduce(0, +)
        #expect((19.5...21).contains(seconds))
    }

    @Test func `A video without key frames to cut at, with too many parts, or no video at all stays whole`()
        async throws
    {
        let path = try video(keyframes: 1000)
        #expect(try await parts(path, limit: size(path) / 3) == nil)
        let many = try video("many.mp4", keyframes: 10)
        #expect(try await parts(many, limit: size(many) / 100) == nil)
        #expect(try await parts(Clips.shared.get().mp3, limit: 1000) == nil)
        try SmallFile.write([UInt8](repeating: 0, count: 5000), to: folder("zeros.mp4"))
        #expect(try await parts(folder("zeros.mp4"), limit: 1001) == nil)
    }

    @Test func `HEVC keeps the name by which Apple's players know it`() async throws {
        let picture = "-f lavfi -i testsrc=size=160x120:rate=10:duration=6,noise=alls=40:allf=t"
        let path = folder("hevc.mp4")
        try Clips.shared.get().run(
            "\(picture) -c:v libx265 -x265-params log-level=none:keyint=10:scenecut=0 -pix_fmt yuv420p -tag:v hvc1 \(path)"
        )
        let parts = try #require(try await parts(path, limit: size(path) / 2))
        for part in parts { #expect(try await probe(part.path)?.videoTag == "hvc1") }
    }
}

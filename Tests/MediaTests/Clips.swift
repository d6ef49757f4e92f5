import Glibc
@testable import Media
import TestSupport
import Testing

/// Holds the media files that ffmpeg makes once for all tests.
struct Clips {
    let folder: TemporaryFolder

    static let shared = Result { try Clips() }

    /// Shows two seconds of a test picture with a tone, and plays everywhere.
    var mp4: String { folder("clip.mp4") }
    /// Has the same content as VP8 and Vorbis, which mp4 cannot hold.
    var webm: String { folder("clip.webm") }
    /// Has streams that mp4 can hold, in another container.
    var mkv: String { folder("clip.mkv") }
    var silent: String { folder("silent.mp4") }
    var mp3: String { folder("tone.mp3") }
    /// Is an HLS playlist, with its segments in the same folder.
    var playlist: String { folder("hls.m3u8") }

    private init() throws {
        folder = try TemporaryFolder()
        let picture = "-f lavfi -i testsrc=size=160x120:rate=10:duration=2"
        let tone = "-f lavfi -i sine=frequency=440:duration=2"
        try run("\(picture) \(tone) -c:v libx264 -pix_fmt yuv420p -c:a aac -shortest -movflags +faststart \(mp4)")
        try run("-i \(mp4) -c copy \(mkv)")
        try run("-i \(mp4) -c:v libvpx -c:a libvorbis \(webm)")
        try run("-i \(mp4) -c copy -an \(silent)")
        try run("\(tone) -metadata title=Tone -metadata artist=Sine \(mp3)")
        try run("-i \(mp4) -c copy -hls_time 1 -hls_playlist_type vod \(playlist)")
        try SmallFile.write([], to: folder("empty.mp4"))
        try SmallFile.write(Array("<html><body>nothing</body></html>".utf8), to: folder("text.html"))
        try SmallFile.write(Array("%PDF-1.4 not really".utf8), to: folder("paper.pdf"))
    }

    func run(_ arguments: String) throws {
        let words = ["ffmpeg", "-nostdin", "-v", "error", "-y"] + arguments.split(separator: " ").map(String.init)
        let status = try SpawnedProgram(words, descriptors: [nil, nil, 2]).wait()
        try #require(status == 0, "ffmpeg \(arguments)")
    }
}

/// Returns ffprobe's description of a file.
func probe(_ path: String) async throws -> MediaProbe? {
    try await FFmpeg(deadline: .now + .seconds(60), maxBytes: 1 << 30).probe(path)
}

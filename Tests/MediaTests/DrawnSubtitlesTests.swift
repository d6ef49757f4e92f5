import Foundation
import HTTP
import Payloads
import TestSupport
import Testing

@testable import Media

/// Draws subtitles into pictures.
@Suite struct DrawnSubtitlesTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let site = Result {
        let clips = try Clips.shared.get()
        try clips.run(
            "-f lavfi -i color=black:s=320x180:r=5:d=8 -f lavfi -i sine=d=8 -c:v libx264 -g 40 -pix_fmt yuv420p -c:a aac -movflags +faststart \(clips.folder("black.mp4"))"
        )
        func write(_ text: String, _ name: String) throws {
            try SmallFile.write(Array(text.utf8), to: clips.folder(name), isDurable: false)
        }
        try write("WEBVTT\n\n00:04.000 --> 00:06.000 position:10%\n<b>Hello</b> \u{2067}سلام\u{2069}\n", "late.vtt")
        try write(
            """
            [Script Info]
            ScriptType: v4.00+

            [V4+ Styles]
            Format: Name, Fontname, Fontsize
            Style: Default,/etc/passwd,20

            [Fonts]
            fontname: evil.ttf
            !!!!!!!!!!!!!!!!

            [Events]
            Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
            Dialogue: 0,0:00:04.00,0:00:06.00,Default,,0,0,0,,{\\fn/etc/shadow\\p1}Hello{\\p0}\\Nworld

            """, "evil.ass")
        try write(
            "1\n00:00:04,000 --> 00:00:06,000\n" + String(repeating: "{\\move(0,0,99,99)}x", count: 20_000), "long.srt")
        let cue = "1\n00:00:04,000 --> 00:00:06,000\nagain and again\n\n"
        try write(String(repeating: cue, count: 400_000), "huge.srt")
        try write("not subtitles", "none.srt")
        return try WebSite(root: clips.folder.path)
    }

    private func fetch(
        _ track: String, _ variant: MediaVariant = MediaVariant(subtitles: "en", burnsSubtitles: true)
    ) async throws -> MediaFetched {
        var settings = MediaSettings(directory: folder("jobs"))
        settings.addressPolicy = .any
        settings.deadline = .seconds(100)
        settings.ytDlp.program = try "\(PythonTools.binFolder())/yt-dlp"
        let link = "\(try Self.site.get().url)/choice/film?at=180:black.mp4&track=en:\(track)"
        return try await MediaFetcher(settings).fetch(MediaJob(.video, try #require(SourceIdentity(link)), variant))
    }

    /// Returns the brightness of the brightest point at a second.
    private func brightness(_ path: String, at second: Double) throws -> Int {
        let words = [
            "ffmpeg", "-v", "error", "-ss", "\(second)", "-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt",
            "gray",
            folder("frame.raw"), "-y",
        ]
        try #require(try SpawnedProgram(words).wait() == 0)
        return Int(try Data(contentsOf: URL(fileURLWithPath: folder("frame.raw"))).max() ?? 0)
    }

    @Test(arguments: ["late.vtt", "evil.ass", "long.srt"])
    func `Subtitles are in the picture while they last, and nowhere else`(_ track: String) async throws {
        let media = try await fetch(track)
        #expect(try brightness(media.path, at: 5) > 150)
        #expect(try brightness(media.path, at: 2) < 40)
        #expect(try brightness(media.path, at: 7) < 40)
        let streams = try SpawnedProgram.output(
            of: ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", media.path])
        #expect(streams == "video\naudio\n")
    }

    @Test func `They are at the right time of a part, and in a smaller picture`() async throws {
        let variant = MediaVariant(
            maxHeight: 180, subtitles: "en", cut: .init(start: 3000, end: 8000), burnsSubtitles: true)
        let media = try await fetch("late.vtt", variant)
        #expect(try brightness(media.path, at: 2) > 150)
        #expect(try brightness(media.path, at: 0.4) < 40)
    }

    @Test func `Subtitles that are none, or too long, are refused`() async throws {
        let none = await #expect(throws: MediaError.self) { try await fetch("none.srt") }
        #expect(none?.code == .noSubtitles, "\(none?.reason ?? "")")
        let huge = await #expect(throws: MediaError.self) { try await fetch("huge.srt") }
        #expect(huge?.code == .tooLarge || huge?.code == .noSubtitles, "\(huge?.reason ?? "")")
    }

    @Test func `A video with drawn subtitles has an address of its own`() throws {
        let identity = try #require(SourceIdentity("https://example.com/film"))
        let all = [
            MediaVariant(), MediaVariant(subtitles: "en"), MediaVariant(subtitles: "en", burnsSubtitles: true),
            MediaVariant(subtitles: "de", burnsSubtitles: true),
        ]
        #expect(Set(all.map { ContentAddress(.video, identity, $0).key }).count == 4)
        #expect(
            ContentAddress(.video, identity, MediaVariant(burnsSubtitles: true)) == ContentAddress(.video, identity))
    }

    // MARK: The text

    private func lines(_ text: String) -> [String]? {
        DrawnSubtitles(srt: "1\n00:00:01,000 --> 00:00:02,000\n\(text)\n")?.cues.first?.lines
    }

    @Test(arguments: [
        ("{\\an8\\fn/etc/passwd}Hi", ["Hi"]), ("<font face=\"x\">a</font> <b>b", ["a b"]), ("a\\Nb", ["a Nb"]),
        ("{unclosed", nil), ("{\\p1}m 0 0{\\p0}", ["m 0 0"]), ("\u{0}\u{1}x\u{202E}y", ["xy"]), ("سلام", ["سلام"]),
        ("1 < 2", ["1"]), ("a\nb\nc\nd\ne", ["a", "b", "c", "d"]),
    ])
    func `Nothing but words is left`(_ text: String, _ expected: [String]?) {
        #expect(lines(text) == expected)
    }

    @Test func `Times that cannot be, too many cues and endless lines are left out`() throws {
        for times in [
            "00:00:02,000 --> 00:00:01,000", "99999999999:00:00,000 --> 99999999999:00:01,000", "x --> y",
            "-1:00:00,000 --> 00:00:01,000", "00:00:01 --> 00:00:02",
        ] {
            #expect(DrawnSubtitles(srt: "1\n\(times)\nx\n") == nil)
        }
        let many = String(repeating: "1\n00:00:01,000 --> 00:00:02,000\nx\n\n", count: 30_000)
        #expect(DrawnSubtitles(srt: many)?.cues.count == 20_000)
        #expect(lines(String(repeating: "x", count: 100_000))?.first?.count == 200)
        #expect(DrawnSubtitles(srt: "1\n00:00:01,000 --> 00:00:02,000\nx\n", beginningAt: 5000) == nil)
    }

    @Test func `What is written can be read again`() throws {
        let text = "1\n00:00:01,005 --> 01:02:03,400\nx\ny\n\n2\n00:00:02,000 --> 00:00:03,000\nz\n"
        let subtitles = try #require(DrawnSubtitles(srt: text))
        #expect(DrawnSubtitles(srt: subtitles.srt) == subtitles && subtitles.cues.count == 2)
    }
}

import Crypto
import HTTP
import JSON
import Payloads
import System
import TestSupport
import Testing

@testable import Media

/// Fetches media in other forms than the usual one.
@Suite struct VariantTests {
    private let folder: TemporaryFolder
    private let site: WebSite

    init() throws {
        folder = try TemporaryFolder()
        site = try VariantTests.sharedSite.get()
    }

    private static let sharedSite = Result {
        let clips = try Clips.shared.get()
        // Two seconds are too short to cut something out of.
        let picture = "-f lavfi -i testsrc=size=320x240:rate=10:duration=8"
        let tone = "-f lavfi -i sine=frequency=440:duration=8"
        let large = clips.folder("large.mp4")
        try clips.run("\(picture) \(tone) -c:v libx264 -g 80 -pix_fmt yuv420p -c:a aac -movflags +faststart \(large)")
        let words = "WEBVTT\n\n00:00.000 --> 00:02.000\nHello there\n"
        try SmallFile.write(Array(words.utf8), to: clips.folder("words.vtt"))
        return try WebSite(root: clips.folder.path)
    }

    private static let choices =
        "/choice/film?at=120:clip.mp4&at=240:large.mp4&track=en:words.vtt&track=de-AT:words.vtt"

    private func fetch(
        _ kind: MediaKind, _ path: String, _ variant: MediaVariant
    ) async throws -> MediaFetched {
        var settings = MediaSettings(directory: folder("jobs"))
        settings.addressPolicy = .any
        settings.deadline = .seconds(100)
        settings.ytDlp.program = try "\(PythonTools.binFolder())/yt-dlp"
        let job = MediaJob(kind, try #require(SourceIdentity(site.url + path)), variant)
        return try await MediaFetcher(settings).fetch(job)
    }

    @Test func `Each variant has an address of its own, and the usual form keeps its address`() throws {
        let identity = try #require(SourceIdentity("https://youtu.be/dQw4w9WgXcQ"))
        let usual = ContentAddress(.video, identity)
        #expect(ContentAddress(.video, identity, MediaVariant(audioFormat: .opus)) == usual)
        // printf 'video\nhttps://youtube.com/watch?v=dQw4w9WgXcQ\nheight=720' | sha256sum
        #expect(
            ContentAddress(.video, identity, MediaVariant(maxHeight: 720)).key
                == "video/9707ad61c0e627c4e8b30b2ac99face7a5b573c90e267427a71e238cae4355e3.mp4")
        #expect(ContentAddress(.audio, identity, MediaVariant(audioFormat: .opus)).key.hasSuffix(".opus"))
        let all = [
            MediaVariant(maxHeight: 480), MediaVariant(maxHeight: 720), MediaVariant(subtitles: "en"),
            MediaVariant(cut: .init(start: 1000, end: nil)), MediaVariant(cut: .init(start: 1000, end: 2000)),
            .standard,
        ]
        #expect(Set(all.map { ContentAddress(.video, identity, $0) }).count == all.count)
    }

    @Test(arguments: [(nil, 240), (120, 120), (144, 120), (100, 120), (1080, 240)] as [(Int64?, Int64)])
    func `The largest picture up to the height is fetched, or else the next larger one`(
        _ wanted: Int64?, _ height: Int64
    ) async throws {
        let media = try await fetch(.video, Self.choices, MediaVariant(maxHeight: wanted))
        #expect(media.metadata.description.height == height)
    }

    @Test(arguments: ["/large.mp4", choices])
    func `A part is cut to its length, wherever it begins`(_ path: String) async throws {
        let cut = MediaVariant.Cut(start: 2500, end: 4500)
        let media = try await fetch(.video, path, MediaVariant(cut: cut))
        let seconds = try #require(try await probe(media.path)?.durationSeconds)
        #expect((1.9...2.2).contains(seconds))
        #expect(media.metadata.description.durationSeconds.map { (1.9...2.2).contains($0.double) } == true)
    }

    @Test func `A part of sound is cut, too`() async throws {
        let variant = MediaVariant(audioFormat: .m4a, cut: .init(start: 6000, end: nil))
        let media = try await fetch(.audio, "/large.mp4", variant)
        #expect((1.8...2.2).contains(try #require(try await probe(media.path)?.durationSeconds)))
        #expect(media.metadata.description.durationSeconds.map { (1.8...2.2).contains($0.double) } == true)
        #expect(media.metadata.content.contentType == "audio/mp4" && media.key.hasSuffix(".m4a"))
    }

    @Test func `Sound comes as opus`() async throws {
        let media = try await fetch(.audio, "/clip.mp4", MediaVariant(audioFormat: .opus))
        let sound = try #require(try await probe(media.path))
        #expect(sound.audioCodec == "opus" && sound.formatName == "ogg" && !sound.hasVideo)
        #expect(media.metadata.content.contentType == "audio/ogg")
        #expect(media.metadata.fileName == "clip.opus")
    }

    @Test func `A part behind the end is refused with the end`() async {
        let error = await #expect(throws: MediaError.self) {
            try await fetch(.video, "/large.mp4", MediaVariant(cut: .init(start: 90_000, end: nil)))
        }
        #expect(error?.code == .noSuchPart && error?.reason.contains("0:08") == true)
    }

    @Test func `Subtitles are in the video`() async throws {
        for language in ["en", "de"] {
            let media = try await fetch(.video, Self.choices, MediaVariant(subtitles: language))
            let shown = try SpawnedProgram.output(
                of: [
                    "ffprobe", "-v", "error", "-select_streams", "s", "-show_entries", "stream=codec_name", "-of",
                    "csv=p=0",
                    media.path,
                ])
            #expect(shown == "mov_text\n")
        }
    }

    @Test func `Missing subtitles are refused with those that there are`() async {
        let error = await #expect(throws: MediaError.self) {
            try await fetch(.video, Self.choices, MediaVariant(subtitles: "fr"))
        }
        #expect(error?.code == .noSubtitles && error?.reason.hasSuffix("but in: de-AT, en.") == true)
        let plain = await #expect(throws: MediaError.self) {
            try await fetch(.video, "/clip.mp4", MediaVariant(subtitles: "fr"))
        }
        #expect(plain?.code == .noSubtitles)
    }
}

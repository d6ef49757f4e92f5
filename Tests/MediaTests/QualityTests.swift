import Glibc
import HTTP
import JSON
import Payloads
import TestSupport
import Testing

@testable import Media

/// Checks what a delivered file says about itself, and that no more is downloaded than is needed.
@Suite struct QualityTests {
    private let folder: TemporaryFolder
    private let site: WebSite
    private let clips: Clips

    init() throws {
        folder = try TemporaryFolder()
        site = try QualityTests.sharedSite.get()
        clips = try Clips.shared.get()
    }

    private static let sharedSite = Result {
        let clips = try Clips.shared.get()
        try clips.run("-f lavfi -i testsrc=size=400x300:rate=1:duration=1 -frames:v 1 \(clips.folder("poster.png"))")
        let picture = "-f lavfi -i testsrc=size=320x240:rate=25:duration=30,noise=alls=60:allf=t -f lavfi -i sine=d=30"
        let form = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 50 -c:a aac -movflags +faststart"
        try clips.run("\(picture) \(form) \(clips.folder("half-minute.mp4"))")
        let huge = open(clips.folder("huge.vtt"), O_WRONLY | O_CREAT, 0o600)
        defer { close(huge) }
        try #require(write(huge, "WEBVTT\n\n", 8) == 8 && ftruncate(huge, 1 << 30) == 0)
        return try WebSite(root: clips.folder.path)
    }

    private func fetch(
        _ kind: MediaKind, _ path: String, _ variant: MediaVariant = .standard
    ) async throws -> MediaFetched {
        var settings = MediaSettings(directory: folder("jobs"))
        settings.addressPolicy = .any
        settings.deadline = .seconds(100)
        settings.ytDlp.program = try "\(PythonTools.binFolder())/yt-dlp"
        let job = MediaJob(kind, try #require(SourceIdentity(site.url + path)), variant)
        return try await MediaFetcher(settings).fetch(job)
    }

    /// Returns ffprobe's description of a file.
    private func described(_ path: String) throws -> JSON {
        let arguments = ["-v", "error", "-show_format", "-show_streams", "-show_chapters", "-of", "json", path]
        return try JSON(parsing: try SpawnedProgram.output(of: ["ffprobe"] + arguments))
    }

    @Test func `A video of a site has its title and its link as tags`() async throws {
        let media = try await fetch(.video, "/choice/film?at=120:clip.mp4&title=A%20film")
        let tags = try described(media.path)["format"]?["tags"]
        #expect(tags?["title"]?.string == "A film")
        #expect(tags?["comment"]?.string?.contains("/choice/film?") == true)
        #expect(MovieLayout(ofFile: media.path)?.hasIndexAtEnd == false)
    }

    @Test func `Sound of a site has the site's picture as its cover, where the format holds one`() async throws {
        let page = "/choice/song?at=120:clip.mp4&poster=poster.png"
        for format in [MediaVariant.AudioFormat.mp3, .m4a] {
            let media = try await fetch(.audio, page, MediaVariant(audioFormat: format))
            let streams = try described(media.path)["streams"]?.array ?? []
            let cover = try #require(streams.first { $0["codec_type"] == "video" })
            #expect(cover["disposition"]?["attached_pic"]?.int == 1)
            #expect(cover["codec_name"]?.string == "mjpeg" && cover["width"]?.int == 640)
            #expect(try await probe(media.path)?.hasVideo == false)
            #expect(media.metadata.description.width == nil)
        }
        let opus = try await fetch(.audio, page, MediaVariant(audioFormat: .opus))
        #expect(try described(opus.path)["streams"]?.array?.count == 1)
        // Neither a page in place of a picture, nor a name that yt-dlp does not accept, ends the request.
        try SmallFile.write(Array("<html></html>".utf8), to: clips.folder("text.png"))
        for name in ["text.png", "text.html", "missing.jpg"] {
            let broken = try await fetch(.audio, "/choice/song?at=120:clip.mp4&poster=\(name)&title=\(name)")
            #expect(try described(broken.path)["streams"]?.array?.count == 1)
        }
    }

    @Test func `Sound keeps the cover and the chapters that it has`() async throws {
        let chapters = """
            ;FFMETADATA1
            [CHAPTER]
            TIMEBASE=1/1000
            START=0
            END=1000
            title=Beginning
            [CHAPTER]
            TIMEBASE=1/1000
            START=1000
            END=2000
            title=End

            """
        try SmallFile.write(Array(chapters.utf8), to: folder("chapters.txt"))
        let inputs = "-i \(clips.mp3) -i \(clips.folder("poster.png")) -i \(folder("chapters.txt"))"
        try clips.run(
            "\(inputs) -map 0:a -map 1:v -map_chapters 2 -c:a aac -c:v png -disposition:v attached_pic \(clips.folder("song.m4a"))"
        )
        try clips.run(
            "-i \(clips.mkv) -i \(folder("chapters.txt")) -map 0 -map_chapters 1 -c copy \(clips.folder("chapters.mkv"))"
        )
        let sound = try described(try await fetch(.audio, "/song.m4a").path)
        #expect(sound["streams"]?.array?.map { $0["codec_type"]?.string } == ["audio", "video"])
        let video = try described(try await fetch(.video, "/chapters.mkv").path)
        for file in [sound, video] {
            #expect(file["chapters"]?.array?.map { $0["tags"]?["title"]?.string } == ["Beginning", "End"])
        }
    }

    @Test func `A smaller picture of a plain file is made, and no larger one`() async throws {
        let small = try await fetch(
            .video, "/half-minute.mp4", MediaVariant(maxHeight: 120, cut: .init(start: 0, end: 2000)))
        #expect(small.metadata.description.width == 160 && small.metadata.description.height == 120)
        try clips.run(
            "-f lavfi -i testsrc=size=240x424:rate=5:duration=1 -pix_fmt yuv420p \(clips.folder("upright.mp4"))")
        let upright = try await fetch(.video, "/upright.mp4", MediaVariant(maxHeight: 121))
        #expect(upright.metadata.description.width == 120 && upright.metadata.description.height == 212)
        let same = try await fetch(.video, "/clip.mp4", MediaVariant(maxHeight: 720))
        #expect(same.metadata.description.height == 120)
    }

    @Test func `Only what is needed of a part is downloaded`() async throws {
        // A mebibyte per second: what is left in the buffers of the connection is a small share of the file.
        let path = "/slow/1048576/half-minute.mp4"
        let cut = MediaVariant.Cut(start: 4000, end: 6000)
        let page = "/choice/part?at=240:\(path.dropFirst())"
        let before = try await sent(path)
        let media = try await fetch(.video, page, MediaVariant(cut: cut))
        let seconds = try #require(try await probe(media.path)?.durationSeconds)
        #expect((1.9...2.2).contains(seconds), "\(seconds)")
        var info = stat()
        try #require(stat(clips.folder("half-minute.mp4"), &info) == 0)
        let share = Double(try await sent(path) - before) / Double(info.st_size)
        #expect(share < 0.6, "\(share) of the file was downloaded")
    }

    private func sent(_ path: String) async throws -> Int64 {
        try await site.requests().filter { $0["path"]?.string == path }.compactMap { $0["bytes_sent"]?.int }
            .reduce(0, +)
    }

    @Test func `Subtitles of a gibibyte are refused`() async throws {
        let page = "/choice/film?at=120:clip.mp4&track=en:slow/30000000/huge.vtt"
        let error = await #expect(throws: MediaError.self) {
            try await fetch(.video, page, MediaVariant(subtitles: "en"))
        }
        #expect(error?.code == .tooLarge && error?.reason == "The subtitles are too large.")
        #expect(try await sent("/slow/30000000/huge.vtt") < 200_000_000)
    }
}

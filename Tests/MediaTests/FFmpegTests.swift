import Glibc
import Payloads
import Synchronization
import TestSupport
import Testing

@testable import Media

@Suite struct FFmpegTests {
    private let folder: TemporaryFolder
    private let clips: Clips
    private let ffmpeg = FFmpeg(deadline: .now + .seconds(60), maxBytes: 1 << 30)

    init() throws {
        folder = try TemporaryFolder()
        clips = try Clips.shared.get()
    }

    @Test func `Probing returns the contents of a file`() async throws {
        let video = try #require(try await ffmpeg.probe(clips.mp4))
        #expect(video.isMP4 && video.hasVideo && video.hasAudio)
        #expect(video.width == 160 && video.height == 120)
        #expect((1.9...2.2).contains(video.durationSeconds ?? 0))
        let audio = try #require(try await ffmpeg.probe(clips.mp3))
        #expect(audio.isMP3 && !audio.hasVideo)
        #expect(audio.title == "Tone" && audio.performer == "Sine")
        #expect(try await ffmpeg.probe(clips.silent)?.hasAudio == false)
    }

    @Test func `Audio extraction makes an MP3 with title and performer and reports progress`() async throws {
        let video = try #require(try await ffmpeg.probe(clips.mkv))
        let progress = Mutex<[MediaProgress]>([])
        try await ffmpeg.extractAudio(
            from: clips.mkv, to: folder("out.mp3"), probe: video,
            tags: MediaTags(title: "-Ä \"title\"; x=y", performer: "Someone")
        ) { report in progress.withLock { $0.append(report) } }
        let audio = try #require(try await ffmpeg.probe(folder("out.mp3")))
        #expect(audio.isMP3)
        #expect(audio.title == "-Ä \"title\"; x=y")
        #expect(audio.performer == "Someone")
        #expect((1.9...2.3).contains(audio.durationSeconds ?? 0))
        #expect(progress.withLock { $0.allSatisfy { $0.state == .converting } && !$0.isEmpty })
    }

    @Test(arguments: ["clip.mkv", "clip.webm"])
    func `Conversion makes an MP4 of other containers and of streams that MP4 cannot hold`(name: String) async throws {
        let source = clips.folder(name)
        let before = try #require(try await ffmpeg.probe(source))
        #expect(!before.isMP4)
        try await ffmpeg.makeMP4(from: source, to: folder("out.mp4"), probe: before, tags: MediaTags()) { _ in }
        let after = try #require(try await ffmpeg.probe(folder("out.mp4")))
        #expect(after.isMP4 && after.hasAudio)
        #expect(after.videoCodec == "h264")
        #expect(after.width == 160 && after.height == 120)
    }

    @Test(arguments: [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:SECRET\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile SECRET\n",
        "file 'SECRET'\n",
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"><BaseURL>SECRET</BaseURL></MPD>",
    ])
    func `ffmpeg opens no file except its input`(text: String) async throws {
        let playlist = text.replacing("SECRET", with: clips.mp4)
        for name in ["list.mp4", "list.m3u8", "list.ffconcat"] {
            try SmallFile.write(Array(playlist.utf8), to: folder(name))
            #expect(try await ffmpeg.probe(folder(name)) == nil)
            let error = await #expect(throws: MediaError.self) {
                let probe = try #require(try await ffmpeg.probe(clips.mp4))
                try await ffmpeg.makeMP4(from: folder(name), to: folder("out.mp4"), probe: probe, tags: MediaTags()) {
                    _ in
                }
            }
            #expect(error?.code == .conversionFailed)
            #expect(access(folder("out.mp4"), F_OK) != 0)
        }
    }

    @Test func `Media is recognised by its first bytes, whatever its name`() throws {
        for clip in [clips.mp4, clips.webm, clips.mkv, clips.mp3, clips.folder("hls0.ts")] {
            let beginning = try #require(SmallFile.readBeginning(clip, count: MediaSignature.length))
            #expect(MediaSignature.isPlausible(beginning), "\(clip)")
        }
        for text in ["", "#EXTM3U\n", "<html>", "%PDF-1.4", "ffconcat version 1.0", "PK\u{3}\u{4}", "G and no more"] {
            #expect(!MediaSignature.isPlausible(Array(text.utf8)), "\(text)")
        }
    }

    @Test func `ffmpeg takes any file name literally`() async throws {
        for name in ["-i", "http:x.mp4", "concat:a|b", "pipe:0", "a%03d.mp4"] {
            link(clips.mp4, folder(name))
            #expect(try await ffmpeg.probe(folder(name))?.hasVideo == true, "\(name)")
        }
    }

    @Test func `A damaged file is a clear error and leaves no partial result`() async throws {
        // The index of this one is at its end.
        try clips.run("-i \(clips.mp4) -c copy \(folder("whole.mp4"))")
        let bytes = try #require(SmallFile.readBytes(folder("whole.mp4"), maxBytes: 1 << 24))
        try SmallFile.write(Array(bytes.prefix(bytes.count / 3)), to: folder("broken.mp4"))
        try SmallFile.write(Array("no media at all".utf8), to: folder("text.mp4"))
        #expect(try await ffmpeg.probe(folder("broken.mp4")) == nil)
        #expect(try await ffmpeg.probe(folder("text.mp4")) == nil)
    }

    @Test func `ffmpeg cannot fill the disk`() async throws {
        let small = FFmpeg(deadline: .now + .seconds(60), maxBytes: 4096)
        let probe = try #require(try await ffmpeg.probe(clips.mkv))
        let error = await #expect(throws: MediaError.self) {
            try await small.makeMP4(from: clips.mkv, to: folder("out.mp4"), probe: probe, tags: MediaTags()) { _ in }
        }
        #expect(error?.code == .tooLarge)
        #expect(access(folder("out.mp4"), F_OK) != 0)
    }
}

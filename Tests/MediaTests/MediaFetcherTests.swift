import Crypto
import Glibc
import HTTP
import JSON
import Payloads
import Synchronization
import System
import TestSupport
import Testing

@testable import Media

@Suite struct MediaFetcherTests {
    private let folder: TemporaryFolder
    private let clips: Clips
    private let site: WebSite

    init() throws {
        folder = try TemporaryFolder()
        clips = try Clips.shared.get()
        site = try MediaFetcherTests.sharedSite.get()
    }

    /// Serves all tests. A test that counts requests asks for paths of its own.
    private static let sharedSite = Result { try WebSite(root: Clips.shared.get().folder.path) }

    private func fetcher(_ change: (inout MediaSettings) -> Void = { _ in }) throws -> MediaFetcher {
        var settings = MediaSettings(directory: folder("jobs"))
        settings.addressPolicy = .any
        settings.deadline = .seconds(100)
        settings.ytDlp.program = try "\(PythonTools.binFolder())/yt-dlp"
        change(&settings)
        return MediaFetcher(settings)
    }

    private func job(_ kind: MediaKind, _ path: String) throws -> MediaJob {
        MediaJob(kind, try #require(SourceIdentity(site.url + path)))
    }

    private func failure(_ job: MediaJob, _ fetcher: MediaFetcher) async -> MediaError? {
        await #expect(throws: MediaError.self) { try await fetcher.fetch(job) }
    }

    private func requests(containing text: String) async throws -> [JSON] {
        try await site.requests().filter { $0["path"]?.string?.contains(text) == true }
    }

    private func sha256(_ path: String) throws -> String {
        SHA256.hexDigest(try #require(SmallFile.readBytes(path, maxBytes: 1 << 26)))
    }

    @Test func `A direct file is fetched unchanged`() async throws {
        let job = try job(.video, "/clip.mp4?utm_source=x")
        let media = try await fetcher().fetch(job)
        #expect(media.key == job.address.key)
        #expect(try sha256(media.path) == sha256(clips.mp4))
        #expect(media.metadata.content.sha256 == (try sha256(clips.mp4)))
        #expect(media.metadata.content.contentType == "video/mp4")
        #expect(media.metadata.fileName == "clip.mp4")
        #expect(media.metadata.description.title == "clip")
        #expect(media.metadata.description.width == 160 && media.metadata.description.height == 120)
        #expect(media.metadata.origin.normalizedURL == "\(site.url)/clip.mp4")
        #expect(media.metadata.isComplete && media.host == nil)
        #expect(try MediaFetched(media.json) == media)
    }

    @Test func `A page's video is fetched through yt-dlp with progress`() async throws {
        let progress = Mutex<[MediaProgress]>([])
        let job = try job(.video, "/page/clip.mp4?title=A%20%22page%22")
        let media = try await fetcher().fetch(job) { report in progress.withLock { $0.append(report) } }
        #expect(media.metadata.content.contentType == "video/mp4")
        #expect(try sha256(media.path) == media.metadata.content.sha256)
        #expect(try await probe(media.path)?.hasVideo == true)
        #expect(media.metadata.description.title?.isEmpty == false)
        #expect(media.metadata.fileName?.hasSuffix(".mp4") == true)
        let reports = progress.withLock { $0 }
        #expect(reports.contains { $0.state == .downloading && $0.fraction == 1 && $0.title != nil })
    }

    @Test func `A page's video is downloaded once, and not while its formats are listed`() async throws {
        _ = link(clips.mp4, clips.folder.callAsFunction("seen-once.mp4"))
        _ = try await fetcher().fetch(try job(.video, "/page/seen-once.mp4"))
        let paths = try await requests(containing: "seen-once").compactMap { $0["path"]?.string }
        #expect(paths.filter { $0 == "/seen-once.mp4" }.count == 1)
    }

    @Test func `An HLS playlist is fetched through yt-dlp`() async throws {
        let media = try await fetcher().fetch(try job(.video, "/hls.m3u8"))
        let probe = try #require(try await probe(media.path))
        #expect(probe.isMP4 && probe.hasVideo && probe.hasAudio)
        #expect((1.8...2.3).contains(media.metadata.description.durationSeconds?.double ?? 0))
    }

    @Test(arguments: ["/clip.mp4", "/page/clip.mp4", "/clip.webm", "/tone.mp3"])
    func `Audio is extracted from a file and from a page`(path: String) async throws {
        let media = try await fetcher().fetch(try job(.audio, path))
        #expect(media.key.hasSuffix(".mp3"))
        #expect(media.metadata.content.contentType == "audio/mpeg")
        #expect(media.metadata.fileName?.hasSuffix(".mp3") == true)
        #expect(media.metadata.description.width == nil)
        let probe = try #require(try await probe(media.path))
        #expect(probe.isMP3)
        #expect(folderEntries(folder("jobs/\(media.key.split(separator: "/")[1].dropLast(4))"))?.count == 3)
    }

    @Test(arguments: ["/clip.mkv", "/clip.webm"])
    func `Video in another container becomes an MP4`(path: String) async throws {
        let media = try await fetcher().fetch(try job(.video, path))
        #expect(media.metadata.content.contentType == "video/mp4")
        #expect(media.metadata.fileName == "clip.mp4")
        #expect(try await probe(media.path)?.isMP4 == true)
        #expect(try sha256(media.path) == media.metadata.content.sha256)
    }

    @Test func `A file that is not media is returned unchanged`() async throws {
        let media = try await fetcher().fetch(try job(.video, "/paper.pdf"))
        #expect(media.metadata.content.contentType == "application/pdf")
        #expect(media.metadata.fileName == "paper.pdf")
        #expect(media.metadata.content.sizeBytes == 19)
        #expect(await failure(try job(.audio, "/paper.pdf"), try fetcher())?.code == .noAudio)
    }

    @Test func `Audio is extracted from a local file, which is left unchanged`() async throws {
        let identity = try #require(SourceIdentity("https://youtu.be/dQw4w9WgXcQ"))
        let before = try sha256(clips.mp4)
        let job = MediaJob(.audio, identity, origin: .local(path: clips.mp4), title: "A song", performer: "Someone")
        let media = try await fetcher().fetch(job)
        #expect(media.key == ContentAddress(.audio, identity).key)
        #expect(media.metadata.description.title == "A song")
        #expect(media.metadata.fileName == "A song.mp3")
        #expect(try await probe(media.path)?.performer == "Someone")
        let video = try await fetcher().fetch(MediaJob(.video, identity, origin: .local(path: clips.mp4)))
        #expect(video.path != clips.mp4)
        #expect(try sha256(clips.mp4) == before)
    }

    @Test func `A file behind a link with a secret is fetched and the secret appears nowhere`() async throws {
        let identity = SourceIdentity.telegramFile(uniqueID: "AgADx")
        var job = MediaJob(.video, identity, origin: .download(url: site.url + "/clip.mp4?token=SECRET"))
        job.fileName = "holiday.mov"
        let media = try await fetcher { $0.addressPolicy = .publicOnly }.fetch(job)
        #expect(media.metadata.fileName == "holiday.mp4")
        #expect(!JSON.object(media.json).text.contains("SECRET"))
        job.origin = .download(url: site.url + "/status/404?token=SECRET")
        job.kind = .audio
        let error = await failure(job, try fetcher())
        #expect(error?.code == .notFound)
        #expect(error?.reason.contains("SECRET") == false)
    }

    @Test func `Simultaneous requests for one address share one fetch`() async throws {
        let job = try job(.video, "/slow/40000/clip.mp4")
        let fetchers = [try fetcher(), try fetcher(), try fetcher()]
        let paths = try await withThrowingTaskGroup(of: String.self) { group in
            for fetcher in fetchers { group.addTask { try await fetcher.fetch(job).path } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(paths.count == 1)
        #expect(try await site.requests("/slow/40000/clip.mp4").count == 1)
    }

    @Test func `An interrupted fetch is resumed`() async throws {
        let job = try job(.video, "/drop/5000/clip.mp4?key=resume")
        let media = try await fetcher().fetch(job)
        #expect(media.metadata.content.sha256 == (try sha256(clips.mp4)))
        let ranges = try await requests(containing: "key=resume").map { $0["range"]?.string }
        #expect(ranges == [nil, "bytes=5000-"])
    }

    @Test(arguments: [false, true])
    func `A file from before a reboot is reused only if its hash matches`(isDamaged: Bool) async throws {
        let job = try job(.video, "/clip.mp4?power=\(isDamaged)")
        let fetcher = try fetcher { $0.isDurable = false }
        let media = try await fetcher.fetch(job)
        let record = folder("jobs/\(job.address.hash)/finished.json")
        var saved = try #require(SmallFile.read(record))
        #expect(saved["boot"] == MachineStart.current.map { .string($0) })
        saved["boot"] = "an earlier one"
        try SmallFile.write(saved, to: record)
        if isDamaged {
            try SmallFile.write(
                [UInt8](repeating: 0, count: Int(try #require(media.metadata.content.sizeBytes))), to: media.path)
        }
        let again = try await fetcher.fetch(job)
        #expect(try sha256(again.path) == media.metadata.content.sha256)
        #expect(try await requests(containing: "power=\(isDamaged)").count == (isDamaged ? 2 : 1))
    }

    @Test(arguments: ["+faststart", "+faststart+frag_keyframe"])
    func `A file is probed once, before it is complete`(flags: String) async throws {
        let name = "early\(flags).mp4"
        try clips.run("-i \(clips.mp4) -c copy -movflags \(flags) \(clips.folder(name))")
        let padding = [0, 0x80, 0, 8] + Array("free".utf8) + [UInt8](repeating: 0, count: 8 << 20)
        try SmallFile.write(
            try #require(SmallFile.readBytes(clips.folder(name), maxBytes: 1 << 20)) + padding, to: clips.folder(name))
        let log = folder("probes")
        try SmallFile.write([], to: log)
        try SmallFile.write(
            Array("#!/bin/sh\nfor a; do f=$a; done\nstat -c %s \"${f#file:}\" >> \(log)\nexec ffprobe \"$@\"\n".utf8),
            to: folder("ffprobe"))
        chmod(folder("ffprobe"), 0o700)
        symlink("/usr/bin/ffmpeg", folder("ffmpeg"))
        let media = try await fetcher {
            $0.ffmpeg = folder("ffmpeg")
            $0.jail.writable = [log]
        }.fetch(try job(.video, "/\(name)"))
        #expect(media.metadata.description.width == 160)
        #expect(abs((media.metadata.description.durationSeconds?.double ?? 0) - 2) < 0.5)
        let probes = String(decoding: try #require(SmallFile.readBytes(log, maxBytes: 1000)), as: UTF8.self)
        #expect(probes.split(separator: "\n").count == 1)
    }

    @Test func `A file that was moved away is fetched again`() async throws {
        let job = try job(.video, "/clip.mp4?test=moved")
        let first = try await fetcher().fetch(job)
        unlink(first.path)
        #expect(try await fetcher().fetch(job).metadata.content.sha256 == first.metadata.content.sha256)
        #expect(try await site.requests("/clip.mp4?test=moved").count == 2)
    }

    @Test(arguments: [
        ("/status/404", MediaError.Code.notFound), ("/missing.mp4", .notFound), ("/status/403", .forbidden),
        ("/empty.mp4", .noMedia), ("/text.html", .noMedia), ("/loop", .unsupported),
    ])
    func `Each failure gives its reason`(path: String, code: MediaError.Code) async throws {
        let error = await failure(try job(.video, path), try fetcher())
        #expect(error?.code == code, "\(error?.reason ?? "")")
    }

    @Test func `A source without sound is refused when audio is requested`() async throws {
        #expect(await failure(try job(.audio, "/silent.mp4"), try fetcher())?.code == .noAudio)
    }

    @Test(arguments: ["/clip.mp4", "/page/clip.mp4"])
    func `A file or page video over the limit is refused`(path: String) async throws {
        let error = await failure(try job(.video, path), try fetcher { $0.maxBytes = 5000 })
        #expect(error?.code == .tooLarge, "\(error?.reason ?? "")")
    }

    @Test func `A video that could not be delivered is refused before it is downloaded, and its sound is not`()
        async throws
    {
        let fetcher = try fetcher { $0.delivery = DeliveryLimit(bytes: 5000) }
        for path in ["/clip.mp4?undeliverable", "/page/clip.mp4?undeliverable"] {
            let error = await failure(try job(.video, path), fetcher)
            #expect(error?.code == .tooLarge, "\(error?.reason ?? "")")
        }
        let media = try await fetcher.fetch(try job(.audio, "/clip.mp4?undeliverable"))
        #expect(media.metadata.content.contentType == "audio/mpeg")
    }

    @Test func `No file, page, redirect or short link reaches a private address`() async throws {
        let fetcher = try fetcher { settings in
            settings.addressPolicy = .publicOnly
            settings.shortLinkHosts = ["127.0.0.1"]
        }
        for path in ["/clip.mp4?private", "/page/clip.mp4?private", "/redirect?to=http://127.0.0.1/private"] {
            #expect(await failure(try job(.video, path), fetcher)?.code == .refusedAddress)
        }
        let error = await #expect(throws: MediaError.self) { try await fetcher.identify(site.url + "/s/private") }
        #expect(error?.code == .refusedAddress)
        #expect(try await requests(containing: "private").isEmpty)
    }

    @Test func `yt-dlp cannot reach a private address`() async throws {
        let folder = try #require(try JobFolder.tryToOpen(root: folder("jobs"), hash: "x"))
        let ytDlp = YtDlp(
            settings: ExtractorSettings(program: try "\(PythonTools.binFolder())/yt-dlp"), ffmpegProgram: "ffmpeg",
            folder: folder,
            kind: .video, addressPolicy: .publicOnly, maxBytes: 1 << 30, largestBytes: 1 << 30,
            deadline: .now + .seconds(60))
        let page = try #require(SourceIdentity(site.url + "/page/clip.mp4?guarded"))
        let error = await #expect(throws: MediaError.self) { try await ytDlp.run(page) { _ in } }
        #expect(error?.code == .refusedAddress, "\(error?.reason ?? "")")
        #expect(try await requests(containing: "guarded").isEmpty)
    }

    @Test func `A missing yt-dlp is reported`() async throws {
        let error = await failure(try job(.video, "/page/clip.mp4"), try fetcher { $0.ytDlp.program = "/no/yt-dlp" })
        #expect(error?.code == .missingProgram)
        #expect(error?.reason == "yt-dlp is not installed here.")
    }

    @Test func `yt-dlp receives a copy of the cookies and the user's arguments`() async throws {
        let cookies = folder("cookies.txt")
        let text = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tCRUMB\n"
        try SmallFile.write(Array(text.utf8), to: cookies)
        let fetcher = try fetcher { settings in
            settings.ytDlp.cookiesFile = cookies
            settings.ytDlp.extraArguments = ["--add-headers", "X-Extra: yes"]
        }
        let media = try await fetcher.fetch(try job(.video, "/page/clip.mp4"))
        #expect(SmallFile.readText(cookies) == text)
        let job = media.path.split(separator: "/").dropLast().joined(separator: "/")
        #expect(folderEntries("/" + job)?.contains("cookies.txt") == false)
    }

    @Test func `Only files that are unused for long are deleted`() async throws {
        let fetcher = try fetcher()
        let media = try await fetcher.fetch(try job(.video, "/clip.mp4"))
        #expect(fetcher.sweep(olderThan: .seconds(3600)) == 0)
        #expect(fetcher.untouched(for: .seconds(3600)).isEmpty)
        #expect(fetcher.untouched(for: .seconds(-10)).map(\.key).contains(media.key))
        let held = try #require(try JobFolder.tryToOpen(root: folder("jobs"), hash: String(repeating: "b", count: 64)))
        #expect(fetcher.sweep(olderThan: .seconds(-10)) == 1)
        #expect(access(media.path, F_OK) != 0)
        #expect(access(held.path, F_OK) == 0)
    }
}

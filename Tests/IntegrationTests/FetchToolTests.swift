import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Runs `media-fetch` alone, between its input and its output.
@Suite(.timeLimit(.minutes(3))) struct FetchToolTests {
    private static let s3 = Result { try S3Server() }

    private let folder: TemporaryFolder
    private let site: WebSite

    init() throws {
        folder = try TemporaryFolder()
        site = try WebSite(root: folder.path)
    }

    private func video(_ path: String) -> Envelope {
        Envelope(type: "commands.media.video_download", payload: ["url": .string("\(site.url)/\(path)")])
    }

    private func failure(_ store: [String: String]) async throws -> (payload: JSONObject, log: String) {
        let environment = try Self.s3.get().environment.merging(store) { $1 }
        let result = try await ToolRun.run(
            "media-fetch", ["--store", "s3://nothing-there"], bytes: video("clip.mp4").line, environment: environment,
            folder: folder)
        let event = try #require(try result.envelopes().last)
        #expect(event.type == "events.dl.video.failed")
        return (event.payload, result.errors)
    }

    @Test func `Refused store credentials are reported as refused`() async throws {
        let (payload, log) = try await failure(["AWS_SECRET_ACCESS_KEY": "wrong"])
        #expect(payload["code"] == "store_refused")
        #expect(payload["temporary"] == false)
        #expect(payload["reason"]?.string?.contains("credentials") == true)
        #expect(log.contains("its secret is wrong"))
    }

    @Test func `A web site is not taken for an empty store`() async throws {
        let (payload, log) = try await failure(["TGPIPE_S3_ENDPOINT": site.url])
        #expect(payload["code"] == "store_configuration")
        #expect(payload["temporary"] == false)
        #expect(log.contains("is not an S3 server"))
        #expect(try await site.requests("/clip.mp4").isEmpty)
    }

    @Test func `An unreachable store is a transient failure`() async throws {
        let nobody = "http://127.0.0.1:\(try LoopbackListener.freePort())"
        let (payload, _) = try await failure(["TGPIPE_S3_ENDPOINT": nobody])
        #expect(payload["code"] == "store_unreachable")
        #expect(payload["temporary"] == true)
    }

    @Test func `Requests abandoned at the drain deadline are reported as failed`() async throws {
        try Data(count: 1 << 20).write(to: URL(filePath: folder("slow.mp4")))
        let run = try ToolRun(
            "media-fetch", ["--allow-private", "--concurrency", "1", "--drain", "100ms"], folder: folder)
        run.send(["a", "b"].flatMap { video("slow/1000/slow.mp4?\($0)").line })
        _ = try await run.waitForLines { !$0.isEmpty }
        run.closeInput()
        run.signal(SIGTERM)
        let result = try await run.result()
        #expect(result.status == 143)
        let failures = try result.envelopes().filter { $0.type == "events.dl.video.failed" }
        #expect(failures.map { $0.payload["code"] } == ["gave_up", "gave_up"])
        #expect(Set(failures.map(\.correlationID)).count == 2)
    }

    /// The two links differ; only the site shows that they lead to the same page.
    @Test(arguments: ["video", "audio"])
    func `Another link to stored media is not downloaded again`(_ kind: String) async throws {
        let clip =
            "ffmpeg -loglevel error -f lavfi -i testsrc=d=1:s=64x48 -f lavfi -i sine=d=1 -shortest -pix_fmt yuv420p"
        #expect(try SpawnedProgram(["sh", "-c", "\(clip) \(folder("clip.mp4"))"]).wait() == 0)
        let redis = try RedisServer()
        let environment = ["TGPIPE_REDIS": redis.address, "TGPIPE_STORE": "file:\(folder("store"))"]
        func fetch(_ event: Envelope) async throws -> Envelope {
            let result = try await ToolRun.run(
                "media-fetch", ["--allow-private"], bytes: event.line, environment: environment, folder: folder)
            return try #require(try result.envelopes().last)
        }
        let fetched = try await fetch(video("page/clip.mp4"))
        let put = try await ToolRun.run("blob-put", bytes: fetched.line, environment: environment, folder: folder)
        let stored = try #require(try put.envelopes().last)
        func downloads() async throws -> Int {
            try await site.requests("/clip.mp4").filter { ($0["bytes_sent"]?.int ?? 0) > 1000 }.count
        }
        let before = try await downloads()
        #expect(before > 0)
        let link = "\(site.url)/redirect?to=\(site.url)/page/clip.mp4"
        let again = try await fetch(
            Envelope(type: "commands.media.\(kind)_download", payload: ["url": .string(link)]))
        #expect(try await downloads() == before)
        #expect(again.type == (kind == "video" ? "events.dl.video.ready" : "events.media.fetched"))
        if kind == "video" { #expect(again.payload["key"] == stored.payload["key"]) }
        #expect(again.payload["normalized_url"] == stored.payload["normalized_url"])
        #expect(try redis.cli("KEYS", "tgpipe:alias:*").hasPrefix("tgpipe:alias:"))
    }

    @Test func `A site with a proxy is reached only through it`() async throws {
        let clip =
            "ffmpeg -loglevel error -f lavfi -i testsrc=d=1:s=64x48 -f lavfi -i sine=d=1 -shortest -pix_fmt yuv420p"
        #expect(try SpawnedProgram(["sh", "-c", "\(clip) \(folder("clip.mp4"))"]).wait() == 0)
        let relay = try PythonServer(script: "socks.py", [])
        func fetch(_ path: String, password: String) async throws -> Envelope {
            let proxy = relay.url.replacing("socks5://", with: "socks5h://someone:\(password)@")
            let text = "[[site]]\nhost = \"127.0.0.1\"\nproxy = \"\(proxy)\"\narguments = [\"--retries\", \"0\"]\n"
            try Data(text.utf8).write(to: URL(filePath: folder("sites.toml")))
            let result = try await ToolRun.run(
                "media-fetch", ["--allow-private", "--sites", folder("sites.toml")], bytes: video(path).line,
                environment: ["TGPIPE_STORE": "file:\(folder("store"))"], folder: folder)
            #expect(!result.errors.contains(password))
            return try #require(try result.envelopes().last)
        }
        for path in ["clip.mp4", "page/clip.mp4"] {
            #expect(try await fetch(path, password: "wrong").type == "events.dl.video.failed")
            #expect(try await site.requests("/\(path)").isEmpty)
            let event = try await fetch(path, password: "let-me-out")
            #expect(event.type == "events.media.fetched", "\(event.payload)")
        }
    }

    /// A page can claim anything about a video of another page: only that page's own description is kept with its key.
    @Test func `A feed of one item gives the video of another page no title`() async throws {
        let clip =
            "ffmpeg -loglevel error -f lavfi -i testsrc=d=1:s=64x48 -f lavfi -i sine=d=1 -shortest -pix_fmt yuv420p"
        #expect(try SpawnedProgram(["sh", "-c", "\(clip) \(folder("clip.mp4"))"]).wait() == 0)
        let item = "<item><title>FOREIGN</title><link>\(site.url)/page/clip.mp4</link></item>"
        let feed = "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>F</title>\(item)</channel></rss>"
        try Data(feed.utf8).write(to: URL(filePath: folder("feed.html")))
        func fetch(_ path: String) async throws -> JSONObject {
            let result = try await ToolRun.run(
                "media-fetch", ["--allow-private"], bytes: video(path).line,
                environment: ["TGPIPE_STORE": "file:\(folder("store"))"], folder: folder)
            let event = try #require(try result.envelopes().last)
            #expect(event.type == "events.media.fetched", "\(event.payload)")
            return event.payload
        }
        let (led, own) = (try await fetch("feed.html"), try await fetch("page/clip.mp4"))
        #expect(led["key"] == own["key"] && led["normalized_url"] == own["normalized_url"])
        #expect(led["title"] == own["title"] && led["title"] != "FOREIGN" && own["title"] != nil)
    }

    /// A worker was killed, and another machine fetched the media that it had begun to fetch.
    @Test func `Leftover partial files of a stored object are removed`() async throws {
        let (stored, begun) = (String(repeating: "a", count: 64), String(repeating: "b", count: 64))
        let files = FileManager.default
        try files.createDirectory(atPath: folder("store/video"), withIntermediateDirectories: true)
        #expect(files.createFile(atPath: folder("store/video/\(stored).mp4"), contents: Data("video".utf8)))
        let old: [FileAttributeKey: Any] = [.modificationDate: Date(timeIntervalSinceNow: -600)]
        for hash in [stored, begun] {
            let path = folder("state/media/fetch/\(hash)")
            try files.createDirectory(atPath: path, withIntermediateDirectories: true)
            #expect(files.createFile(atPath: "\(path)/data.part", contents: Data("vi".utf8), attributes: old))
            try files.setAttributes(old, ofItemAtPath: path)
        }
        let run = try ToolRun(
            "media-fetch", environment: ["TGPIPE_STORE": "file:\(folder("store"))"], folder: folder)
        #expect(try await eventually { !files.fileExists(atPath: folder("state/media/fetch/\(stored)")) })
        run.closeInput()
        #expect(try await run.result().status == 0)
        #expect(files.fileExists(atPath: folder("state/media/fetch/\(begun)/data.part")))
    }

    @Test func `Acceptance is reported before the link is resolved`() async throws {
        let host = site.url.dropFirst("http://".count)
        let run = try ToolRun(
            "media-fetch", ["--allow-private", "--short-host", String(host), "--drain", "10ms"], folder: folder)
        run.send(Array(video("hang").line))
        let lines = try await run.waitForLines { !$0.isEmpty }
        let event = try Envelope(try JSON(parsing: lines[0]))
        #expect(event.type == "events.media.progress")
        #expect(event.payload["state"] == "accepted")
        run.closeInput()
        run.signal(SIGTERM)
        _ = try await run.result()
    }

    @Test func `The layers of the jail are logged, and a missing one is refused on demand`() async throws {
        let run = try await ToolRun.run(
            "media-fetch", [], bytes: [], environment: ["TGPIPE_LOG": "info"], folder: folder)
        #expect(run.errors.contains("yt-dlp and ffmpeg run in a jail"))
        #expect(run.errors.contains("network, process namespace, files, ports, system calls, limits"))
        // The kernel sets root no limit for processes. For other users, this kernel has all layers that matter.
        let strict = try await ToolRun.run("media-fetch", ["--require-jail"], bytes: [], folder: folder)
        #expect(strict.status == (geteuid() == 0 ? 78 : 0))
        #expect(strict.errors.contains("process count") || geteuid() != 0)
        let variable = try await ToolRun.run(
            "media-fetch", [], bytes: [], environment: ["TGPIPE_REQUIRE_JAIL": "1"], folder: folder)
        #expect(variable.status == strict.status)
    }

    @Test func `A tool's environment shows no secret to other programs`() async throws {
        let run = try ToolRun("tg-send", [], environment: ["TG_BOT_TOKEN": "123456:SECRET"], folder: folder)
        /// Other users than root cannot read it at all; root finds the secret erased.
        @Sendable func environment() -> String? {
            guard let file = fopen("/proc/\(run.processIdentifier)/environ", "r") else { return nil }
            defer { fclose(file) }
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            let count = fread(&bytes, 1, bytes.count, file)
            return String(decoding: bytes.prefix(count), as: UTF8.self)
        }
        #expect(try await eventually { environment()?.contains("SECRET") != true })
        #expect(environment()?.contains("TG_BOT_TOKEN=") == (geteuid() == 0 ? true : nil))
    }
}

import Crypto
import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Runs downloads over the limit for direct downloads, and the worker that fetches them.
@Suite(.timeLimit(.minutes(3))) struct LargeDownloadTests {
    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let site: WebSite
    private let content = Data((0..<12_000_000).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ $0 >> 9) })
    private let queues = ["--from", "queue:large", "--to", "queue:out", "--lease", "3s", "--backoff", "100ms"]

    init() throws {
        redis = try RedisServer()
        folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
        try content.write(to: URL(fileURLWithPath: folder("www/file.bin")))
        site = try WebSite(root: folder("www"))
    }

    private func run(_ tool: String, _ arguments: [String]) throws -> ToolRun {
        try ToolRun(
            tool, ["--store", "file:\(folder("store"))"] + arguments, environment: ["TGPIPE_REDIS": redis.address],
            folder: folder)
    }

    private func fetcher(_ arguments: [String]) throws -> ToolRun {
        try run("media-fetch", ["--allow-private"] + arguments)
    }

    private func command(_ url: String) -> Envelope {
        Envelope(
            type: "commands.media.video_download", payload: ["url": .string(url)],
            meta: ["origin": ["chat_id": 1, "message_id": 2, "chat_type": "private"]])
    }

    private func large(_ url: String) -> Envelope {
        Envelope(type: "commands.media.large_download", payload: ["kind": "video", "url": .string(url)])
    }

    private func push(_ events: [Envelope]) async throws {
        let pusher = try run("blob-put", ["--to", "queue:large"])
        pusher.send(events.flatMap(\.line))
        pusher.closeInput()
        #expect(try await pusher.result().status == 0)
    }

    private func queued(_ type: String) throws -> [Envelope] {
        try redis.cli("XRANGE", "tgpipe:{queues}:out:stream", "-", "+").split(separator: "\n")
            .filter { $0.contains("\"\(type)\"") }.map { try Envelope(try JSON(parsing: String($0))) }
    }

    private func end(_ run: ToolRun) async throws {
        run.signal(SIGTERM)
        let result = try await run.result()
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
    }

    private var leftovers: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder("state/media/fetch"))) ?? []
    }

    @Test(arguments: ["slow/100000000/file.bin", "chunked/file.bin"])
    func `A download over the direct limit is handed over to large-download workers`(_ path: String) async throws {
        let run = try fetcher(["--max-direct-size", "100K"])
        let commands = (0..<3).map { _ in command("\(site.url)/\(path)") }
        run.send(commands.flatMap(\.line))
        run.closeInput()
        let events = try await run.result().envelopes()
        let handed = events.filter { $0.type == "commands.media.large_download" }
        #expect(Set(handed.map(\.correlationID)) == Set(commands.map(\.correlationID)))
        for event in handed {
            #expect(event.payload["kind"] == "video")
            #expect(event.payload["url"] == .string("\(site.url)/\(path)"))
            #expect(event.payload["size_bytes"] == (path.hasPrefix("slow") ? 12_000_000 : nil))
            #expect(event.payload["limit_bytes"] == 102_400)
            #expect(event.meta["origin"] == commands[0].meta["origin"])
        }
        for command in commands {
            let states = events.filter { $0.correlationID == command.correlationID }.map { $0.payload["state"] }
            #expect(states.contains("queued"))
        }
        #expect(!events.contains { $0.type.hasPrefix("events.dl.") })
        #expect(leftovers.isEmpty)
        // Whoever does the large ones does it.
        let worker = try fetcher([])
        worker.send(handed.flatMap(\.line))
        worker.closeInput()
        let fetched = try await worker.result().envelopes().filter { $0.type == "events.media.fetched" }
        #expect(fetched.count == 3)
        #expect(fetched.first?.payload["size_bytes"] == 12_000_000)
    }

    @Test func `A download over the absolute limit fails`() async throws {
        let run = try fetcher(["--max-direct-size", "100K", "--max-size", "2M"])
        run.send(command("\(site.url)/file.bin").line)
        run.closeInput()
        let failed = try #require(try await run.result().envelopes().last)
        #expect(failed.type == "events.dl.video.failed")
        #expect(failed.payload["code"] == "too_large")
        #expect(failed.payload["reason"]?.string?.contains("at most") == true)
    }

    @Test func `After a worker is killed, the next one resumes its download`() async throws {
        let path = "slow/3000000/file.bin"
        try await push([large("\(site.url)/\(path)")])
        let first = try fetcher(queues)
        while (try await site.requests("/\(path)").first?["bytes_sent"]?.int ?? 0) < 6_000_000 {
            try await Task.sleep(for: .milliseconds(10))
        }
        first.signal(SIGKILL)
        _ = try await first.result()
        let second = try fetcher(queues)
        #expect(try await eventually { try queued("events.media.fetched").count == 1 })
        let visits = try await site.requests("/\(path)")
        #expect(visits.count == 2)
        #expect(visits.last?["status"] == 206)
        let resumedAt = try #require(visits.last?["range"]?.string?.dropFirst("bytes=".count).dropLast())
        let resumed = try #require(Int64(resumedAt))
        #expect(resumed >= 1_000_000)
        #expect(visits.last?["bytes_sent"]?.int == 12_000_000 - resumed)
        let media = try #require(try queued("events.media.fetched").first?.payload)
        let file = try #require(media["path"]?.string)
        #expect(try Data(contentsOf: URL(fileURLWithPath: file)) == content)
        #expect(media["sha256"]?.string == SHA256.hexDigest(Array(content)))
        try await end(second)
        // Once the file has been taken, the next start leaves nothing of it.
        try FileManager.default.removeItem(atPath: file)
        let third = try fetcher(queues)
        #expect(try await eventually { leftovers.isEmpty })
        try await end(third)
    }

    @Test func `A yt-dlp download is resumed too`() async throws {
        let noise = "ffmpeg -loglevel error -f lavfi -i nullsrc=s=320x240:d=8,noise=alls=100:allf=t -pix_fmt yuv420p"
        #expect(try SpawnedProgram(["sh", "-c", "\(noise) \(folder("www/clip.mp4"))"]).wait() == 0)
        let size = try #require(
            try FileManager.default.attributesOfItem(atPath: folder("www/clip.mp4"))[.size] as? Int64)
        let rate = size / 8
        // For the page; what it shows is the site's slow way to the same file.
        try FileManager.default.createDirectory(
            atPath: folder("www/slow/\(rate)"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            atPath: folder("www/clip.mp4"), toPath: folder("www/slow/\(rate)/clip.mp4"))
        try await push([large("\(site.url)/page/slow/\(rate)/clip.mp4")])
        let first = try fetcher(queues)
        let video = "/slow/\(rate)/clip.mp4"
        func sent() async throws -> Int64 {
            try await site.requests(video).compactMap { $0["bytes_sent"]?.int }.max() ?? 0
        }
        #expect(try await eventuallyAsync { try await sent() >= size / 2 })
        first.signal(SIGKILL)
        _ = try await first.result()
        let second = try fetcher(queues)
        #expect(try await eventually { try queued("events.media.fetched").count == 1 })
        let resumed = try await site.requests(video).compactMap { visit -> Int64? in
            guard visit["status"] == 206, let range = visit["range"]?.string else { return nil }
            return Int64(range.dropFirst("bytes=".count).prefix { $0 != "-" })
        }
        let visits = try await site.requests(video)
        #expect((resumed.max() ?? 0) > 0, "\(visits)")
        // The tags change the size of the file, which still has all its pictures.
        let path = try #require(try queued("events.media.fetched").first?.payload["path"]?.string)
        let count = "-v error -select_streams v -count_packets -show_entries stream=nb_read_packets -of csv=p=0"
        let pictures = try SpawnedProgram.output(
            of: ["ffprobe"] + count.split(separator: " ").map(String.init) + [path])
        #expect(pictures == "200\n")
        try await end(second)
    }

    @Test func `A site's Retry-After is observed`() async throws {
        let server = try LoopbackServer { [content] request, connection in
            if request.target.hasSuffix("1") { return connection.respond(429, [("Retry-After", "3")], text: "") }
            connection.respond(200, [("Content-Type", "video/mp4")], body: Array(content))
        }
        defer { server.stop() }
        try await push([large(server.url("/v.mp4?x=1"))])
        let start = ContinuousClock.now
        let run = try fetcher(queues + ["--max-attempts", "2"])
        #expect(try await eventually { try queued("events.dl.video.failed").count == 1 })
        #expect(ContinuousClock.now - start >= .seconds(3))
        #expect(server.requests.count == 2)
        let failed = try #require(try queued("events.dl.video.failed").first)
        #expect(failed.payload["code"] == "gave_up")
        #expect(failed.payload["reason"]?.string?.contains("too many requests") == true)
        try await end(run)
        #expect(leftovers.isEmpty)
    }
}

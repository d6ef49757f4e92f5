import Blob
import Crypto
import Envelope
import Foundation
import JSON
import TestSupport
import Testing

@testable import Blob

/// Runs `media-fetch --to-store` against a real S3 server and a real Redis.
@Suite(.serialized, .timeLimit(.minutes(4))) struct ToStoreTests {
    let bucket: TestBucket
    let redis: RedisServer
    let folder: TemporaryFolder
    /// Has five pieces.
    static let content = distinctBytes(22 << 20 + 4321)
    var content: [UInt8] { Self.content }

    init() async throws {
        bucket = try await TestBucket()
        redis = try RedisServer()
        folder = try TemporaryFolder()
    }

    func environment(_ endpoint: String? = nil) -> [String: String] {
        var environment = bucket.server.environment
        environment["TGPIPE_REDIS"] = redis.address
        environment["TGPIPE_STORE"] = bucket.address
        if let endpoint { environment["TGPIPE_S3_ENDPOINT"] = endpoint }
        return environment
    }

    func command(_ url: String, chat: Int64 = 1, message: Int64 = 2) -> Envelope {
        Envelope(
            type: "commands.media.video_download", payload: ["url": .string(url)],
            meta: [
                "origin": ["chat_id": .integer(chat), "message_id": .integer(message), "chat_type": "private"],
                "actor": ["id": 7, "name": "Ann"],
            ])
    }

    func start(
        _ more: [String] = [], endpoint: String? = nil, in folder: TemporaryFolder? = nil
    ) throws -> ToolRun {
        try ToolRun(
            "media-fetch", ["--to-store", "--allow-private"] + more, environment: environment(endpoint),
            folder: folder ?? self.folder)
    }

    /// Fetches a link, and returns the last event.
    func fetch(_ url: String, _ more: [String] = [], endpoint: String? = nil) async throws -> Envelope {
        let run = try start(more, endpoint: endpoint)
        run.send(Array(command(url).line))
        run.closeInput()
        let result = try await run.result()
        #expect(result.status == 0)
        let event = try #require(try result.envelopes().last)
        if event.type.hasSuffix("failed") { print(event.payload, run.log.suffix(1500)) }
        return event
    }

    func key(_ event: Envelope) throws -> String { try #require(event.payload["key"]?.string) }

    func expectWhole(_ event: Envelope) async throws {
        #expect(event.type == "events.dl.video.ready")
        #expect(event.payload["sha256"]?.string == SHA256.hexDigest(content))
        #expect(event.payload["size_bytes"] == .integer(Int64(content.count)))
        #expect(event.payload["path"] == nil && event.payload["cached"] == nil)
        #expect(event.payload["url"]?.string?.hasPrefix("http://127.0.0.1") == true)
        let info = try #require(try await bucket.store.head(key(event)))
        #expect(info.metadata.sha256 == SHA256.hexDigest(content))
        #expect(try await bucket.bytes(key(event), folder) == content)
    }

    /// Checks that the bucket has these objects only, and no uploads.
    func expectOnly(_ keys: [String]) async throws {
        let contents = try await bucket.contents()
        #expect(contents.objects.sorted() == keys.sorted())
        #expect(contents.uploads.isEmpty)
        #expect(try bookKeys("book").isEmpty)
    }

    /// Returns the keys of the book of uploads that end in this way.
    func bookKeys(_ end: String) throws -> [String] {
        try redis.cli("KEYS", "tgpipe:{uploads:*\(end)").split(separator: "\n").map(String.init)
    }

    /// Ends the leases of all uploads, as if Redis had been away for a minute.
    func endLeases() throws { for key in try bookKeys("owner:*") { _ = try redis.cli("DEL", key) } }

    /// Returns the bytes of all files below the work folder.
    func bytesOnDisk(_ folder: TemporaryFolder? = nil) -> Int {
        let root = (folder ?? self.folder)("state/media")
        let names = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        return names.compactMap { try? FileManager.default.attributesOfItem(atPath: "\(root)/\($0)") }
            .filter { $0[.type] as? FileAttributeType == .typeRegular }.map { $0[.size] as? Int ?? 0 }.reduce(0, +)
    }

    @Test func `A file goes to the store while it arrives, and is never on the disk`() async throws {
        let site = try LargeFileSite(content) { $0.holdsAfter = 12 << 20 }
        let run = try start()
        run.send(Array(command(site.url()).line))
        #expect(try await bucket.waitForPieces())
        #expect(bytesOnDisk() < 10_000)
        // Nobody sees an object before it is complete.
        #expect(try await bucket.contents().objects.isEmpty)
        site.release()
        run.closeInput()
        let event = try #require(try await run.result().envelopes().last)
        try await expectWhole(event)
        #expect(event.payload["file_name"] == "large.bin")
        #expect(event.payload["content_type"] == "application/octet-stream")
        #expect(site.requests.count == 1)
        #expect(bytesOnDisk() < 10_000)
        try await expectOnly([key(event)])
        let again = try await fetch(site.url())
        #expect(again.payload["cached"] == true && site.requests.count == 1)
    }

    @Test func `A file of unknown size goes to the store while it arrives`() async throws {
        let site = try LargeFileSite(content) { ($0.namedSize, $0.hasRanges) = (nil, false) }
        let event = try await fetch(site.url())
        try await expectWhole(event)
        try await expectOnly([key(event)])
    }

    @Test func `A download that breaks off goes on in the same upload`() async throws {
        let site = try LargeFileSite(content) { $0.breaksAfter = 13 << 20 }
        let proxy = try FaultyProxy(to: bucket.server.port, [])
        let event = try await fetch(site.url(), endpoint: proxy.endpoint)
        #expect(event.type == "events.dl.video.ready")
        #expect(try await bucket.bytes(key(event), folder) == content)
        #expect(site.requests.count == 2 && (site.requests.last?.rangeStart ?? 0) >= 12 << 20)
        #expect(proxy.requests.count { $0.method == "POST" && $0.target.contains(".tgpipe/uploads/") } == 2)
        try await expectOnly([key(event)])
    }

    @Test func `A download that has to begin anew leaves nothing of its first bytes`() async throws {
        let site = try LargeFileSite(content) { ($0.breaksAfter, $0.hasRanges) = (13 << 20, false) }
        let event = try await fetch(site.url())
        try await expectWhole(event)
        #expect(site.requests.count == 2)
        try await expectOnly([key(event)])
    }

    @Test func `A site that names a wrong size fills no bucket`() async throws {
        let site = try LargeFileSite(content) { ($0.namedSize, $0.hasRanges) = (content.count + 5, false) }
        let event = try await fetch(site.url())
        #expect(event.type == "events.dl.video.failed" && event.payload["code"] == "truncated")
        try await expectOnly([])
        let large = try LargeFileSite(content) { ($0.namedSize, $0.hasRanges) = (nil, false) }
        let refused = try await fetch(large.url(), ["--max-size", "12M"])
        #expect(refused.payload["code"] == "too_large")
        try await expectOnly([])
    }

    @Test func `A cancelled download leaves no upload`() async throws {
        let site = try LargeFileSite(content) { $0.holdsAfter = 12 << 20 }
        let run = try start()
        run.send(Array(command(site.url()).line))
        #expect(try await bucket.waitForPieces())
        let cancel = Envelope(type: "commands.media.cancel", payload: ["chat_id": 1, "message_id": 2])
        run.send(Array(cancel.line))
        _ = try await run.waitForLines { $0.contains { $0.contains("events.dl.video.failed") } }
        run.closeInput()
        #expect(try await run.result().envelopes().last?.payload["code"] == "cancelled")
        site.release()
        try await expectOnly([])
    }

    func push(_ events: [Envelope], to queue: String = "in") async throws {
        let result = try await ToolRun.run(
            "ev-queue", ["push", queue], bytes: events.flatMap(\.line), environment: ["TGPIPE_REDIS": redis.address],
            folder: folder)
        #expect(result.status == 0)
    }

    func results(_ queue: String = "out") throws -> [Envelope] {
        try redis.cli("XRANGE", "tgpipe:{queues}:\(queue):stream", "-", "+").split(separator: "\n").filter {
            $0.hasPrefix("{")
        }.map { try Envelope(try JSON(parsing: String($0))) }.filter { $0.type != "events.media.progress" }
    }

    static let queues = ["--from", "queue:in", "--to", "queue:out", "--lease", "1s"]

    @Test func `Options that do not go together are refused`() async throws {
        for options in [
            ["--to-store", "--session", "me", "https://t.me/c/1234567890/12"], ["--part-size", "6M"],
            ["--create-bucket", "https://example.com/x.mp4"],
        ] {
            let run = try ToolRun("media-fetch", options, environment: environment(), folder: folder)
            run.closeInput()
            #expect(try await run.result().status == 64, "\(options)")
        }
    }

    @Test func `A store that fails in the middle is waited for, and no attempt is lost`() async throws {
        let site = try LargeFileSite(content)
        let proxy = try FaultyProxy(
            to: bucket.server.port,
            [
                .init("PUT", contains: "partNumber=3&", times: .max, .answer(503)),
                .init("HEAD", contains: "tgpipe-probe", times: .max, .answer(503)),
            ])
        try await push([command(site.url())])
        let run = try start(Self.queues + ["--max-attempts", "2", "--backoff", "10ms"], endpoint: proxy.endpoint)
        #expect(try await eventually { proxy.requests.count { $0.target.contains("partNumber=3&") } >= 5 })
        proxy.stopFailing()
        #expect(try await eventually { try results().count == 1 }, "\(run.log.suffix(2000))")
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        try await expectWhole(try results()[0])
        try await expectOnly([key(try results()[0])])
    }

    @Test func `Two requests for one link share an upload`() async throws {
        let site = try LargeFileSite(content) { $0.holdsAfter = 12 << 20 }
        let workers = try [start(Self.queues), start(Self.queues, in: TemporaryFolder())]
        try await push([command(site.url()), command(site.url(), chat: 3)])
        #expect(try await bucket.waitForPieces())
        site.release()
        #expect(try await eventually { try results().count == 2 }, "\(workers[0].log.suffix(1000))")
        for worker in workers {
            worker.signal(SIGTERM)
            #expect(try await worker.result().status == 0)
        }
        #expect(try results().allSatisfy { $0.type == "events.dl.video.ready" })
        #expect(site.requests.count == 1)
        try await expectOnly([key(try results()[0])])
    }

    func makeClip(_ name: String, _ options: String) throws -> [UInt8] {
        let picture =
            "-f lavfi -i testsrc2=d=8:r=12:s=640x480,noise=alls=60:allf=t -f lavfi -i sine=d=8 -shortest -b:v 12M -preset ultrafast"
        let words = "-v error \(picture) -pix_fmt yuv420p \(options) \(folder(name))"
        #expect(try SpawnedProgram(["ffmpeg"] + words.split(separator: " ").map(String.init)).wait() == 0)
        return Array(try Data(contentsOf: URL(filePath: folder(name))))
    }

    /// The event must be the one that blob-put would have written.
    @Test(arguments: [true, false])
    func `A video is described as by media-fetch and blob-put`(_ hasIndexFirst: Bool) async throws {
        let bytes = try makeClip("clip.mp4", hasIndexFirst ? "-movflags +faststart" : "-metadata title=Late")
        #expect(bytes.count > 7 << 20)
        let site = try LargeFileSite(bytes) { $0.type = "video/mp4" }
        let proxy = try FaultyProxy(to: bucket.server.port, [])
        let event = try await fetch(site.url("/clip.mp4"), endpoint: proxy.endpoint)
        #expect(event.type == "events.dl.video.ready")
        // A file that has to be changed is made on the disk, and stored from there.
        #expect(proxy.requests.contains { $0.target.contains(".tgpipe/uploads/") } == hasIndexFirst)
        #expect(bytesOnDisk() < 10_000)
        try await expectOnly([key(event)])
        try await bucket.store.delete(key(event))
        let other = try TemporaryFolder()
        let bin = ToolRun.path(of: "")
        var environment = environment()
        environment["TGPIPE_STATE"] = other("state")
        environment["PATH"] = "/usr/local/bin:/usr/bin:/bin"
        environment["HOME"] = other.path
        environment["TGPIPE_LOG"] = "error"
        try Data(command(site.url("/clip.mp4")).line).write(to: URL(filePath: folder("command")))
        _ = try redis.cli("FLUSHALL")
        let variables = environment.map { "\($0)='\($1)'" }.joined(separator: " ")
        let output = try SpawnedProgram.output(of: [
            "sh", "-c", "export \(variables); \(bin)media-fetch --allow-private <\(folder("command")) | \(bin)blob-put",
        ])
        let last = try #require(output.split(separator: "\n").last.map(String.init))
        let expected = try Envelope(try JSON(parsing: last))
        #expect(expected.type == event.type)
        let varying: Set = ["url", "url_expires_at", "fetched_at", "path"]
        func fixed(_ event: Envelope) -> [String] {
            event.payload.members.filter { !varying.contains($0.key) }.map { "\($0.key)=\($0.value.text)" }
        }
        #expect(fixed(event) == fixed(expected))
        #expect((event.payload["duration_seconds"]?.double ?? 0) > 7 && event.payload["width"] == 640)
    }

    @Test func `A folder gets the finished file`() async throws {
        let site = try LargeFileSite(content)
        let event = try await fetch(site.url(), ["--store", "file:\(folder("objects"))"])
        #expect(event.type == "events.dl.video.ready")
        let path = try #require(event.payload["path"]?.string)
        #expect(path == folder("objects/\(try key(event))"))
        #expect(Array(try Data(contentsOf: URL(filePath: path))) == content)
        #expect(bytesOnDisk() < 10_000)
    }

    @Test func `Links as arguments become objects, whose URLs are printed`() async throws {
        let site = try LargeFileSite(content)
        func put(_ links: [String]) async throws -> ToolRun.Result {
            let run = try start(links)
            run.closeInput()
            return try await run.result()
        }
        let result = try await put([site.url(), site.url("/large.bin#t=3"), "http://127.0.0.1:1/none.mp4"])
        #expect(result.status == 1 && result.lines.count == 2)
        let objects = try await bucket.contents().objects
        #expect(objects.count == 1 && result.lines.allSatisfy { $0.contains(objects[0]) })
        #expect(
            try SpawnedProgram.output(of: ["sh", "-c", "curl -sS '\(result.lines[0])' | wc -c"]).contains(
                "\(content.count)"))
        try await expectOnly(objects)
        #expect(try await put(["-o", "x", site.url()]).status == 64)
    }

    @Test func `The limits for the disk hold only for what is on the disk`() async throws {
        let site = try LargeFileSite(content)
        try await expectWhole(try await fetch(site.url(), ["--min-free", "900000G"]))
        let small = try LargeFileSite(Array(content[..<1000]))
        let event = try await fetch(small.url("/small.bin"), ["--min-free", "900000G"])
        #expect(event.payload["code"] == "no_space")
        // What yt-dlp fetches is on the disk, too.
        let page = try LargeFileSite(Array("<html><title>x</title></html>".utf8)) { $0.type = "text/html" }
        #expect(try await fetch(page.url("/page"), ["--min-free", "900000G"]).payload["code"] == "no_space")
    }

    @Test func `Without Redis, a file goes by the disk`() async throws {
        let site = try LargeFileSite(content)
        let proxy = try FaultyProxy(to: bucket.server.port, [])
        var environment = environment(proxy.endpoint)
        environment["TGPIPE_REDIS"] = "unix:\(folder("nobody"))"
        let run = try ToolRun(
            "media-fetch", ["--to-store", "--allow-private", site.url()], environment: environment, folder: folder)
        run.closeInput()
        #expect(try await run.result().status == 0)
        #expect(!proxy.requests.contains { $0.target.contains(".tgpipe/uploads/") })
        #expect(try await bucket.contents().objects.count == 1)
        #expect(bytesOnDisk() < 10_000)
    }

    @Test func `A missing bucket and a refused key are reported as such`() async throws {
        let site = try LargeFileSite(content)
        let missing = try await fetch(site.url(), ["--store", "s3://not-there-\(bucket.name.dropFirst(6))"])
        #expect(missing.payload["code"] == "store_no_such_bucket")
        let made = try await fetch(
            site.url(), ["--store", "s3://made-\(bucket.name.dropFirst(6))", "--create-bucket"])
        #expect(made.type == "events.dl.video.ready")
        let proxy = try FaultyProxy(
            to: bucket.server.port,
            [
                .init(
                    "PUT", header: "x-amz-copy-source", times: 100,
                    .answer(501, body: "<Error><Code>NotImplemented</Code></Error>"))
            ])
        let run = try start(endpoint: proxy.endpoint)
        run.send(Array(command(site.url()).line))
        run.closeInput()
        #expect(try await run.result().envelopes().last?.payload["code"] == "store_configuration")
        #expect(run.log.contains("Leave out --to-store"))
        try await expectOnly([])
    }

    @Test func `A chat gets a file that two machines without a common disk have handled`() async throws {
        let telegram = try BotEmulator()
        let message = try await telegram.say("x", as: BotEmulator.User(42, "Ann"))
        let site = try LargeFileSite(content)
        try await push([command(site.url(), chat: 42, message: message)])
        let fetcher = try start(["--from", "queue:in", "--to", "queue:fetched"])
        let others = try TemporaryFolder()
        let forwarder = try ToolRun(
            "blob-put", ["--from", "queue:fetched", "--to", "queue:send"], environment: environment(), folder: others)
        let sender = try ToolRun(
            "tg-send", ["--from", "queue:send", "--to", "queue:out", "--no-pacing"],
            environment: environment().merging(telegram.environment) { $1 }, folder: others)
        let answer = try await telegram.answer(in: 42) { $0.message["document"] != nil }
        #expect(answer.message["document"]?["file_size"] == .integer(Int64(content.count)))
        for run in [fetcher, forwarder, sender] {
            run.signal(SIGTERM)
            #expect(try await run.result().status == 0)
        }
        #expect(site.requests.count == 1)
        #expect(bytesOnDisk() < 10_000)
    }
}

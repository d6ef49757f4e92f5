import Crypto
import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Lets the S3 server fail for all events while stages over queues need it: no attempt is used up, and nothing is lost.
@Suite(.timeLimit(.minutes(3))) struct ObjectStoreOutageTests {
    private static let shared = Result { try S3Server() }

    private let s3: S3Server
    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let bucket = "test-\(UInt64.random(in: 0...UInt64.max))"
    /// Each event may fail once. The S3 client itself repeats a call some times.
    private let queues = Self.queues()

    init() async throws {
        s3 = try Self.shared.get()
        redis = try RedisServer()
        folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
        for number in 0..<6 { try content(number).write(to: URL(fileURLWithPath: folder("www/\(number).bin"))) }
        let result = try await run(
            "blob-put",
            ["--store", "s3://\(bucket)", "--create-bucket", "--file", folder("www/0.bin"), "--key", "first"],
            s3.endpoint
        ).result()
        #expect(result.status == 0, "\(result.errors)")
    }

    private static func queues(maxAttempts: Int = 1) -> [String] {
        ["--from", "queue:in", "--to", "queue:out", "--max-attempts", "\(maxAttempts)", "--lease", "20s"]
    }

    private func content(_ number: Int) -> Data { Data("content \(number)".utf8) }

    private func run(_ tool: String, _ arguments: [String], _ endpoint: String, _ more: [String: String] = [:]) throws
        -> ToolRun
    {
        let environment = s3.environment.merging(["TGPIPE_REDIS": redis.address, "TGPIPE_S3_ENDPOINT": endpoint]) { $1 }
        return try ToolRun(tool, arguments, environment: environment.merging(more) { $1 }, folder: folder)
    }

    private func push(_ events: [Envelope]) async throws {
        let pusher = try run("ev-queue", ["push", "in"], s3.endpoint)
        pusher.send(events.flatMap(\.line))
        pusher.closeInput()
        #expect(try await pusher.result().status == 0)
    }

    private func results() throws -> [Envelope] {
        try redis.cli("XRANGE", "tgpipe:{queues}:out:stream", "-", "+").split(separator: "\n").filter {
            $0.hasPrefix("{")
        }
        .map { try Envelope(try JSON(parsing: String($0))) }
    }

    /// Lets a stage notice that the store is away, then work until it has six results of a type, and checks that it noticed one
    /// outage.
    private func check(_ run: ToolRun, _ proxy: FaultyProxy, _ type: String) async throws {
        #expect(try await eventually { run.log.contains("the store is away") }, "\(run.log.suffix(2000))")
        proxy.stopFailing()
        #expect(try await eventually { try results().count { $0.type == type } == 6 }, "\(run.log.suffix(2000))")
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        #expect(try redis.cli("EXISTS", "tgpipe:{queues}:in:dead") == "0")
        #expect(run.log.components(separatedBy: "the store is away").count == 2)
        #expect(run.log.components(separatedBy: "the store answers again").count == 2)
        #expect(try results().allSatisfy { !$0.type.hasSuffix(".failed") })
    }

    /// Stands between the stages and the server, and fails requests of these kinds.
    private func proxy(_ methods: String..., fault: FaultyProxy.Fault) throws -> FaultyProxy {
        try FaultyProxy(to: s3.port, methods.map { FaultyProxy.Rule($0, contains: "/", times: .max, fault) })
    }

    private func fetched() throws -> [Envelope] {
        (0..<6).map { number in
            Envelope(
                type: "events.media.fetched",
                payload: [
                    "kind": "video", "key": .string("video/\(number).mp4"),
                    "path": .string(folder("www/\(number).bin")),
                    "size_bytes": 9, "sha256": .string(SHA256.hexDigest(Array(content(number)))),
                    "content_type": "video/mp4", "source_url": "https://a.example/",
                    "normalized_url": "https://a.example/",
                    "domain": "a.example", "fetched_at": "2026-11-21T20:00:00.000000Z",
                ], meta: ["origin": ["chat_id": 1, "message_id": 2, "chat_type": "private"]])
        }
    }

    @Test func `blob-put waits out a store that breaks every connection`() async throws {
        let proxy = try proxy("HEAD", "PUT", fault: .reset)
        try await push(try fetched())
        try await check(
            try run("blob-put", queues + ["--store", "s3://\(bucket)"], proxy.endpoint), proxy, "events.dl.video.ready")
    }

    @Test func `blob-put waits out a store that answers and stores nothing`() async throws {
        // As if the server's disk were full: it still tells what it has. Each event may fail twice, because the first ones cannot know
        // that they are not alone.
        let proxy = try proxy("PUT", fault: .answer(500))
        try await push(try fetched())
        try await check(
            try run(
                "blob-put", Self.queues(maxAttempts: 2) + ["--store", "s3://\(bucket)", "--backoff", "10ms"],
                proxy.endpoint), proxy,
            "events.dl.video.ready")
    }

    @Test func `media-fetch waits out a store that fails`() async throws {
        let site = try WebSite(root: folder("www"))
        let proxy = try proxy("HEAD", fault: .answer(503))
        try await push(
            (0..<6).map {
                Envelope(
                    type: "commands.media.video_download", payload: ["url": .string("\(site.url)/\($0).bin")],
                    meta: ["origin": ["chat_id": 1, "message_id": 2, "chat_type": "private"]])
            })
        try await check(
            try run("media-fetch", queues + ["--allow-private", "--store", "s3://\(bucket)"], proxy.endpoint), proxy,
            "events.media.fetched")
    }

    @Test func `tg-send waits out a store whose files cannot be read`() async throws {
        let telegram = try BotEmulator()
        // A bot cannot write first.
        let message = try await telegram.say("x", as: BotEmulator.User(42, "Ann"))
        let site = try WebSite(root: folder("www"))
        let port = try #require(URL(string: site.url)?.port)
        let proxy = try FaultyProxy(to: port, [FaultyProxy.Rule("GET", times: .max, .answer(503))])
        try await push(
            (0..<6).map { number in
                Envelope(
                    type: "events.dl.video.ready",
                    payload: [
                        "kind": "video", "key": .string("video/\(String(repeating: "\(number)", count: 64)).mp4"),
                        "url": .string("\(proxy.endpoint)/\(number).bin"), "size_bytes": 9, "content_type": "video/mp4",
                        "file_name": "a.mp4",
                    ], meta: ["origin": ["chat_id": 42, "message_id": .integer(message), "chat_type": "private"]])
            })
        let run = try run("tg-send", queues + ["--no-pacing"], proxy.endpoint, telegram.environment)
        try await check(run, proxy, "events.telegram.sent")
    }
}

import Envelope
import Foundation
import JSON
import Payloads
import TestSupport
import Testing

/// Lets requests take turns, with media-turns alone and with a worker.
@Suite(.timeLimit(.minutes(3))) struct TurnTests {
    private let redis: RedisServer
    private let folder: TemporaryFolder

    init() throws {
        redis = try RedisServer()
        folder = try TemporaryFolder()
    }

    private func run(_ tool: String, _ arguments: [String] = []) throws -> ToolRun {
        try ToolRun(
            tool, arguments,
            environment: [
                "TGPIPE_REDIS": redis.address, "TGPIPE_STATE": folder("state"),
                "TGPIPE_STORE": "file:\(folder("store"))",
            ], folder: folder)
    }

    private func request(by user: Int64, _ number: Int = 1, role: String = "blessed") -> Envelope {
        // The address is refused, so that a worker is done at once.
        var event = Envelope(MediaDownload(kind: .video, source: .url("http://127.0.0.1/\(user)/\(number)")))
        event.actor = EventActor(id: user, name: "User \(user)")
        event.role = role
        event.origin = EventOrigin(chat: .id(user), messageID: Int64(number), chatType: "private")
        return event
    }

    private func cancel(_ event: Envelope) -> Envelope {
        var command = Envelope(MediaCancel(.correlation(event.correlationID)))
        command.actor = event.actor
        return command
    }

    private func events(_ run: ToolRun) throws -> [Envelope] {
        try run.lines.map { try Envelope(try JSON(parsing: $0)) }
    }

    private func commands(_ run: ToolRun) throws -> [EventID] {
        try events(run).filter { $0.type == "commands.media.video_download" }.map(\.id)
    }

    private func places(_ run: ToolRun) throws -> [EventID: [Int64]] {
        var places: [EventID: [Int64]] = [:]
        for event in try events(run) where event.type == MediaProgress.type {
            #expect(event.payload["state"] == "queued")
            places[event.correlationID, default: []].append(event.payload["place"]?.int ?? 0)
        }
        return places
    }

    /// Offers places as a worker does, for as long as a test runs.
    private func offer(_ places: Int) throws {
        _ = try redis.cli("ZADD", "tgpipe:{turns}:workers", "9000000000000", "worker")
        _ = try redis.cli("HSET", "tgpipe:{turns}:places", "worker", "\(places)")
    }

    /// Lets a worker fail at requests, so that their turns end.
    private func work(on ids: [EventID], of requests: [Envelope]) async throws {
        let worker = try run("media-fetch", ["--concurrency", "2"])
        for request in requests where ids.contains(request.id) { worker.send(request.line) }
        worker.closeInput()
        #expect(try await worker.result().status == 0)
    }

    @Test func `A user's further requests wait, are told their places, and come one by one`() async throws {
        let stage = try run("media-turns", ["--per-user", "2", "--report", "1s"])
        let requests = (1...5).map { request(by: 7, $0) }
        for request in requests { stage.send(request.line) }
        #expect(try await eventually { try places(stage).count == 3 })
        #expect(try commands(stage) == requests.prefix(2).map(\.id))
        #expect(try places(stage)[requests[2].correlationID] == [1])
        #expect(try places(stage)[requests[4].correlationID] == [3])
        try await work(on: [requests[1].id], of: requests)
        #expect(try await eventually { try commands(stage) == requests.prefix(3).map(\.id) })
        // The others have moved up, and are told so, with an estimate.
        #expect(try await eventually { try places(stage)[requests[3].correlationID]?.last == 1 })
        #expect(try await eventually { try places(stage)[requests[4].correlationID]?.last == 2 })
        #expect(try events(stage).last { $0.type == MediaProgress.type }?.payload["wait_seconds"]?.int != nil)
        try await work(on: [requests[0].id, requests[2].id], of: requests)
        #expect(try await eventually { try commands(stage).count == 5 })
        stage.closeInput()
        #expect(try await stage.result().status == 0)
        try await work(on: requests.suffix(2).map(\.id), of: requests)
        let left = try redis.cli("KEYS", "tgpipe:{turns}:*").split(separator: "\n").map(String.init)
        #expect(
            Set(left).isDisjoint(
                with: ["waiting", "running", "users", "records", "waiters"].map { "tgpipe:{turns}:\($0)" }))
    }

    @Test func `One user with many requests does not delay the others`() async throws {
        try offer(1)
        let stage = try run("media-turns", ["--per-user", "2", "--ahead", "0"])
        let many = (1...6).map { request(by: 7, $0) }
        for request in many { stage.send(request.line) }
        #expect(try await eventually { try commands(stage) == [many[0].id] && places(stage).count == 5 })
        let (one, two) = (request(by: 8), request(by: 9))
        for request in [one, two] { stage.send(request.line) }
        #expect(try await eventually { try places(stage).count == 7 })
        #expect(try places(stage)[one.correlationID] == [1] && places(stage)[two.correlationID] == [2])
        // The worker also offers places of its own for a moment, so that more than one request may begin.
        try await work(on: [many[0].id], of: many)
        #expect(try await eventually { try commands(stage).count >= 2 })
        try await work(on: try commands(stage), of: many + [one, two])
        #expect(try await eventually { try commands(stage).count >= 4 })
        #expect(try Array(commands(stage).prefix(4)) == [many[0].id, one.id, two.id, many[1].id])
    }

    @Test func `A request that waits is cancelled at once, and its place goes to the next`() async throws {
        let stage = try run("media-turns", ["--per-user", "1"])
        let requests = (1...3).map { request(by: 7, $0) }
        for request in requests { stage.send(request.line) }
        #expect(try await eventually { try places(stage).count == 2 })
        let worker = try run("media-fetch")
        let start = ContinuousClock.now
        worker.send(cancel(requests[1]).line)
        #expect(try await eventually { try events(stage).contains { $0.type == "events.dl.video.failed" } })
        #expect(ContinuousClock.now - start < .seconds(10))
        let failure = try #require(try events(stage).first { $0.type == "events.dl.video.failed" })
        #expect(failure.correlationID == requests[1].correlationID && failure.payload["code"] == "cancelled")
        worker.closeInput()
        #expect(try await worker.result().status == 0)
        try await work(on: [requests[0].id], of: requests)
        #expect(try await eventually { try commands(stage) == [requests[0].id, requests[2].id] })
    }

    @Test func `A user who has used up the share of a day is refused, and an admin is not`() async throws {
        let stage = try run("media-turns", ["--requests-per-day", "2"])
        let requests = (1...3).map { request(by: 7, $0) } + (1...3).map { request(by: 8, $0, role: "admin") }
        for (index, request) in requests.enumerated() {
            stage.send(request.line)
            #expect(try await eventually { try events(stage).count == index + 1 })
            try await work(on: [request.id], of: requests)
        }
        let failures = try events(stage).filter { $0.type == "events.dl.video.failed" }
        #expect(failures.map(\.correlationID) == [requests[2].correlationID])
        #expect(failures.first?.payload["code"] == "over_quota")
        #expect(try redis.cli("HGET", "tgpipe:{turns}:limits", "requests") == "2")
    }

    @Test func `Bytes and time of what was fetched count for the share of a day`() async throws {
        try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
        try Data(repeating: 7, count: 100_000).write(to: URL(fileURLWithPath: folder("www/file.bin")))
        let site = try WebSite(root: folder("www"))
        var fetched = request(by: 7)
        fetched.payload = ["url": .string("\(site.url)/slow/50000/file.bin")]
        let worker = try run("media-fetch", ["--allow-private", "--min-rate", "1"])
        worker.send(fetched.line)
        worker.closeInput()
        #expect(try await worker.result().status == 0)
        let key = try redis.cli("KEYS", "tgpipe:usage:7:*")
        #expect(try redis.cli("HGET", key, "bytes") == "100000")
        #expect(Int64(try redis.cli("HGET", key, "ms")) ?? 0 > 1000)
        for (option, value) in [("--bytes-per-day", "100000"), ("--time-per-day", "1s")] {
            let result = try await ToolRun.run(
                "media-turns", [option, value], input: String(decoding: request(by: 7, 2).line, as: UTF8.self),
                environment: ["TGPIPE_REDIS": redis.address])
            #expect(try result.envelopes().first?.payload["code"] == "over_quota")
        }
    }

    @Test func `More waiting requests than allowed are refused`() async throws {
        let stage = try run("media-turns", ["--per-user", "1", "--max-waiting", "2"])
        let requests = (1...4).map { request(by: 7, $0) }
        for request in requests { stage.send(request.line) }
        #expect(try await eventually { try events(stage).contains { $0.type == "events.dl.video.failed" } })
        let failure = try #require(try events(stage).first { $0.type == "events.dl.video.failed" })
        #expect(failure.correlationID == requests[3].correlationID && failure.payload["code"] == "rate_limited")
    }

    @Test func `A turn whose end Redis does not take is free again once it does`() async throws {
        let stage = try run("media-turns", ["--per-user", "1"])
        let requests = (1...2).map { request(by: 7, $0) }
        for request in requests { stage.send(request.line) }
        #expect(try await eventually { try commands(stage) == [requests[0].id] })
        // The script that ends a turn fails at a value of another kind.
        _ = try redis.cli("LPUSH", "tgpipe:{turns}:pace", "x")
        let worker = try run("media-fetch", ["--concurrency", "1"])
        worker.send(requests[0].line)
        _ = try await worker.waitForLines { $0.contains { $0.contains("events.dl.video.failed") } }
        #expect(try commands(stage).count == 1)
        _ = try redis.cli("DEL", "tgpipe:{turns}:pace")
        #expect(try await eventually { try commands(stage) == requests.map(\.id) })
        for run in [worker, stage] {
            run.closeInput()
            #expect(try await run.result().status == 0)
        }
    }

    @Test func `From a queue, the end of a request is noted before its result is there, also when Redis was away`()
        async throws
    {
        let redis = try RedisServer(configuration: RedisServer.durable)
        try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
        try Data(repeating: 7, count: 60_000).write(to: URL(fileURLWithPath: folder("www/file.bin")))
        let site = try WebSite(root: folder("www"))
        var asked = request(by: 7)
        asked.payload = ["url": .string("\(site.url)/slow/30000/file.bin")]
        let environment = [
            "TGPIPE_REDIS": redis.address, "TGPIPE_STATE": folder("state"), "TGPIPE_STORE": "file:\(folder("store"))",
        ]
        func run(_ tool: String, _ arguments: [String]) throws -> ToolRun {
            try ToolRun(tool, arguments, environment: environment, folder: folder)
        }
        func isDone() throws -> Bool {
            let results = try redis.cli("XRANGE", "tgpipe:{queues}:fetched:stream", "-", "+")
            return results.contains(#""type":"events.media.fetched""#) || results.contains(#""type":"events.dl."#)
        }
        let turns = try run("media-turns", ["--to", "queue:asked"])
        turns.send(asked.line)
        #expect(try await eventually { try redis.cli("ZCARD", "tgpipe:{turns}:running") == "1" })
        turns.closeInput()
        #expect(try await turns.result().status == 0)
        let options = ["--from", "queue:asked", "--to", "queue:fetched", "--allow-private", "--min-rate", "1"]
        let worker = try run("media-fetch", options)
        // Redis is away when the download ends.
        #expect(try await eventuallyAsync { try await !site.requests("/slow/30000/file.bin").isEmpty })
        redis.kill()
        #expect(
            try await eventually {
                let work = FileManager.default.enumerator(atPath: folder("state/media/fetch"))
                return work?.contains { _ in work?.fileAttributes?[.size] as? Int == 60_000 } == true
            })
        try redis.start()
        #expect(try await eventually { try isDone() })
        worker.signal(SIGKILL)
        _ = try await worker.result()
        #expect(try redis.cli("ZCARD", "tgpipe:{turns}:running") == "0")
    }

    @Test func `What a killed stage held does not keep turns`() async throws {
        let first = try run("media-turns", ["--per-user", "1"])
        let requests = (1...3).map { request(by: 7, $0) }
        for request in requests { first.send(request.line) }
        #expect(try await eventually { try places(first).count == 2 })
        first.signal(SIGKILL)
        _ = try await first.result()
        let second = try run("media-turns", ["--per-user", "1"])
        let next = request(by: 7, 4)
        second.send(next.line)
        #expect(try await eventually { try commands(second) == [next.id] })
    }

    @Test func `From a queue, a killed stage loses no request, and another one goes on`() async throws {
        let requests = (1...3).map { request(by: 7, $0) }
        let pusher = try run("ev-queue", ["push", "asked"])
        for request in requests { pusher.send(request.line) }
        pusher.closeInput()
        #expect(try await pusher.result().status == 0)
        let options = ["--from", "queue:asked", "--per-user", "1", "--report", "1s", "--lease", "2s"]
        let first = try run("media-turns", options)
        #expect(try await eventually { try places(first).count == 2 })
        first.signal(SIGKILL)
        _ = try await first.result()
        let second = try run("media-turns", options)
        for (index, request) in requests.enumerated() {
            try await work(on: [request.id], of: requests)
            guard index < 2 else { continue }
            #expect(try await eventually { try commands(second).contains(requests[index + 1].id) })
        }
        second.signal(SIGTERM)
        #expect(try await second.result().status == 0)
    }
}

import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Sends many requests for the same media to several processes, which share only Redis and the store.
@Suite(.timeLimit(.minutes(3))) struct SharedFetchTests {
    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let site: WebSite

    init() throws {
        redis = try RedisServer()
        folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
        // Long enough not to be over before all have asked.
        try Data(repeating: 7, count: 300_000).write(to: URL(fileURLWithPath: folder("www/file.bin")))
        site = try WebSite(root: folder("www"))
    }

    /// - Parameter host: the name of a machine; each has a folder of its own.
    private func run(_ tool: String, _ arguments: [String] = [], host: String = "state") throws -> ToolRun {
        try ToolRun(
            tool, ["--store", "file:\(folder("store"))"] + arguments,
            environment: ["TGPIPE_REDIS": redis.address, "TGPIPE_STATE": folder(host)], folder: folder)
    }

    private func fetcher(_ arguments: [String] = [], host: String = "state") throws -> ToolRun {
        try run("media-fetch", ["--allow-private"] + arguments, host: host)
    }

    private func command(_ path: String, _ kind: String = "video") -> Envelope {
        Envelope(type: "commands.media.\(kind)_download", payload: ["url": .string("\(site.url)/\(path)")])
    }

    private func results(_ runs: [ToolRun], _ type: String) -> [Envelope] {
        runs.flatMap(\.lines).compactMap { try? Envelope(try JSON(parsing: $0)) }.filter { $0.type == type }
    }

    /// Puts events into a queue through a stage that forwards them.
    private func push(_ events: [Envelope], to queue: String) async throws {
        let pusher = try run("blob-put", ["--to", "queue:\(queue)"])
        pusher.send(events.flatMap(\.line))
        pusher.closeInput()
        #expect(try await pusher.result().status == 0)
    }

    /// Returns the events in a queue.
    private func queued(_ queue: String, _ type: String) throws -> [Envelope] {
        try redis.cli("XRANGE", "tgpipe:{queues}:\(queue):stream", "-", "+").split(separator: "\n")
            .filter { $0.contains("\"\(type)\"") }.map { try Envelope(try JSON(parsing: String($0))) }
    }

    private func objects() -> [String] {
        FileManager.default.enumerator(atPath: folder("store"))?.compactMap { $0 as? String }
            .filter { $0.hasSuffix(".mp4") && !$0.hasPrefix(".tgpipe") } ?? []
    }

    @Test func `200 requests in four processes cause one fetch and 200 results`() async throws {
        let runs = try (1...4).map { try fetcher(host: "state\($0)") }
        for number in 0..<200 { runs[number % 4].send(command("slow/300000/file.bin").line) }
        for run in runs { run.closeInput() }
        for run in runs { #expect(try await run.result().status == 0) }
        let fetched = results(runs, "events.media.fetched")
        #expect(fetched.count == 200)
        #expect(Set(fetched.map(\.correlationID)).count == 200)
        #expect(Set(fetched.map { $0.payload["path"] }).count == 1)
        #expect(try await site.requests("/slow/300000/file.bin").count == 1)
        let states = Set(results(runs, "events.media.progress").map { $0.payload["state"]?.string ?? "" })
        #expect(states.isSuperset(of: ["accepted", "waiting"]))
        #expect(try redis.cli("KEYS", "*:waiters") == "")
    }

    @Test func `A failed fetch fails every waiting request`() async throws {
        let alone = try fetcher()
        alone.send(command("status/404?alone").line)
        alone.closeInput()
        #expect(try await alone.result().status == 0)
        let requests = try await site.requests("/status/404?alone").count
        let runs = try (1...2).map { try fetcher(host: "state\($0)") }
        for number in 0..<200 { runs[number % 2].send(command("status/404").line) }
        for run in runs { run.closeInput() }
        for run in runs { #expect(try await run.result().status == 0) }
        let failed = results(runs, "events.dl.video.failed")
        #expect(failed.count == 200)
        #expect(Set(failed.map(\.correlationID)).count == 200)
        #expect(Set(failed.map { $0.payload["reason"] }).count == 1)
        #expect(try await site.requests("/status/404").count == requests)
        // It is forgotten then: who asks later is a new attempt.
        let later = try fetcher()
        later.send(command("status/404").line)
        later.closeInput()
        #expect(try await later.result().status == 0)
        #expect(try await site.requests("/status/404").count == 2 * requests)
    }

    @Test func `One of many waiting requests stores the object`() async throws {
        let runs = try (1...2).map { try fetcher(host: "state\($0)") }
        for number in 0..<100 { runs[number % 2].send(command("slow/300000/file.bin").line) }
        for run in runs { run.closeInput() }
        for run in runs { _ = try await run.result() }
        let putters = try (1...2).map { try run("blob-put", host: "state\($0)") }
        for (putter, run) in zip(putters, runs) {
            putter.send(results([run], "events.media.fetched").flatMap(\.line))
            putter.closeInput()
        }
        for putter in putters { #expect(try await putter.result().status == 0) }
        #expect(results(putters, "events.dl.video.ready").count == 100)
        #expect(putters.map { $0.log.components(separatedBy: "stored video/").count - 1 }.reduce(0, +) == 1)
        #expect(objects().count == 1)
        // Whoever asks now is answered from the store.
        let later = try fetcher(host: "state3")
        later.send(command("slow/300000/file.bin").line)
        later.closeInput()
        _ = try await later.result()
        #expect(results([later], "events.dl.video.ready").count == 1)
        #expect(try await site.requests("/slow/300000/file.bin").count == 1)
    }

    @Test func `A file that was removed before it was stored is fetched again`() async throws {
        let first = try fetcher()
        first.send(command("file.bin").line)
        first.closeInput()
        _ = try await first.result()
        let path = try #require(results([first], "events.media.fetched").first?.payload["path"]?.string)
        try FileManager.default.removeItem(atPath: path)
        let second = try fetcher()
        second.send(command("file.bin").line)
        second.closeInput()
        _ = try await second.result()
        #expect(results([second], "events.media.fetched").count == 1)
        #expect(FileManager.default.fileExists(atPath: path))
        #expect(try await site.requests("/file.bin").count == 2)
    }

    @Test func `Without Redis every request is still served`() async throws {
        let run = try fetcher(["--redis", "redis://127.0.0.1:\(LoopbackListener.freePort())"])
        for _ in 0..<3 { run.send(command("file.bin").line) }
        run.closeInput()
        let result = try await run.result()
        #expect(result.status == 0)
        #expect(results([run], "events.media.fetched").count == 3)
        #expect(result.errors.components(separatedBy: "the same work may be done twice").count == 2)
        // The folder of the download keeps those of one machine apart.
        #expect(try await site.requests("/file.bin").count == 1)
    }

    @Test func `When the owner is killed, a waiter takes over the fetch`() async throws {
        let queues = ["--from", "queue:media", "--to", "queue:out", "--lease", "2s"]
        let source = "slow/60000/file.bin"
        try await push([command(source)], to: "media")
        let owner = try fetcher(queues, host: "state1")
        while try await site.requests("/\(source)").isEmpty { try await Task.sleep(for: .milliseconds(20)) }
        try await push((1...40).map { _ in command(source) }, to: "media")
        let others = try (2...3).map { try fetcher(queues, host: "state\($0)") }
        #expect(try await eventually { try Int(redis.cli("ZCARD", waiters)) == 40 })
        owner.signal(SIGKILL)
        #expect(try await eventually { try queued("out", "events.media.fetched").count >= 41 })
        for run in others { run.signal(SIGTERM) }
        for run in others { #expect(try await run.result().status == 0) }
        let fetched = try queued("out", "events.media.fetched")
        #expect(fetched.count == 41)
        #expect(Set(fetched.map(\.correlationID)).count == 41)
        #expect(try await site.requests("/\(source)").count == 2)
    }

    private var waiters: String {
        get throws { try redis.cli("KEYS", "*:fetch:waiters") }
    }
}

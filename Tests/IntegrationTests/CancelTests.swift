import Envelope
import Foundation
import JSON
import Payloads
import TestSupport
import Testing

/// Cancels requests that other processes are working on, which share only Redis and the store.
@Suite(.timeLimit(.minutes(3))) struct CancelTests {
    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let site: WebSite

    init() throws {
        redis = try RedisServer()
        folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
        try Data(repeating: 7, count: 400_000).write(to: URL(fileURLWithPath: folder("www/file.bin")))
        site = try WebSite(root: folder("www"))
    }

    /// - Parameter host: the name of a machine; each has a folder of its own.
    private func fetcher(_ arguments: [String] = [], host: String) throws -> ToolRun {
        try ToolRun(
            "media-fetch", ["--allow-private", "--min-rate", "1", "--store", "file:\(folder("store"))"] + arguments,
            environment: ["TGPIPE_REDIS": redis.address, "TGPIPE_STATE": folder(host)], folder: folder)
    }

    /// Returns a request for a file that takes a minute or more.
    private func request(_ path: String = "slow/4000/file.bin", by user: Int64 = 42, message: Int64 = 1) -> Envelope {
        var event = Envelope(MediaDownload(kind: .video, source: .url("\(site.url)/\(path)")))
        event.actor = EventActor(id: user, name: "A")
        event.origin = EventOrigin(chat: .id(7), messageID: message)
        return event
    }

    private func cancel(_ requests: MediaCancel.Requests, by user: Int64?, role: String? = nil) -> Envelope {
        var event = Envelope(MediaCancel(requests))
        event.actor = user.map { EventActor(id: $0, name: "A") }
        event.role = role
        return event
    }

    private func results(_ run: ToolRun) throws -> [Envelope] {
        try run.lines.map { try Envelope(try JSON(parsing: $0)) }.filter { $0.type != "events.media.progress" }
    }

    private func waitForDownload(_ path: String = "slow/4000/file.bin") async throws {
        #expect(try await eventuallyAsync { try await site.requests("/\(path)").count > 0 })
    }

    /// The names of partial downloads on a machine.
    private func partials(_ host: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder("\(host)/media/fetch"))) ?? []
        return names.filter { $0.utf8.count == 64 }
    }

    private func expectCancelled(_ run: ToolRun, _ event: Envelope) async throws {
        _ = try await run.waitForLines { lines in lines.contains { $0.contains("events.dl.video.failed") } }
        let results = try results(run)
        #expect(results.map(\.type) == ["events.dl.video.failed"])
        #expect(results.first?.payload["code"] == "cancelled" && results.first?.payload["temporary"] == false)
        #expect(results.first?.correlationID == event.correlationID)
    }

    @Test func `A cancellation reaches a download in another process, and leaves nothing of it`() async throws {
        let (worker, front) = (try fetcher(host: "one"), try fetcher(host: "two"))
        let event = request()
        worker.send(event.line)
        try await waitForDownload()
        front.send(cancel(.correlation(event.correlationID), by: 42).line)
        try await expectCancelled(worker, event)
        #expect(try await eventually { partials("one").isEmpty })
        // The same request, made again at once, is a request like any other.
        let again = request("file.bin", message: 2)
        worker.send(again.line)
        worker.closeInput()
        front.closeInput()
        #expect(try await worker.result().status == 0)
        #expect(try await front.result().status == 0)
        #expect(try results(front).isEmpty)
        #expect(try results(worker).last?.type == "events.media.fetched")
        #expect(try redis.cli("KEYS", "*lease*") == "")
    }

    @Test func `Only the user who asked, an administrator or a script cancels a request`() async throws {
        let (worker, front) = (try fetcher(host: "one"), try fetcher(host: "two"))
        let event = request()
        worker.send(event.line)
        try await waitForDownload()
        front.send(cancel(.message(id: 1, chatID: 7), by: 43).line)
        #expect(try await eventually { try !redis.cli("KEYS", "tgpipe:cancel:7/1").isEmpty })
        // Several looks pass.
        try await Task.sleep(for: .seconds(1))
        #expect(try results(worker).isEmpty)
        front.send(cancel(.message(id: 1, chatID: 7), by: 43, role: "admin").line)
        try await expectCancelled(worker, event)
    }

    @Test func `Another request for the same media goes on when the first one is cancelled`() async throws {
        let path = "slow/100000/file.bin"
        let (one, two) = (try fetcher(host: "one"), try fetcher(host: "two"))
        let (first, second) = (request(path), request(path, by: 43, message: 2))
        one.send(first.line)
        try await waitForDownload(path)
        two.send(second.line)
        #expect(try await eventually { two.log.contains("waiting for another request's work") })
        two.send(cancel(.message(id: 1, chatID: 7), by: 42).line)
        try await expectCancelled(one, first)
        two.closeInput()
        #expect(try await two.result().status == 0)
        #expect(try results(two).map(\.type) == ["events.media.fetched"])
    }

    @Test func `A request that waits for another one's download is cancelled alone`() async throws {
        let path = "slow/100000/file.bin"
        let (one, two) = (try fetcher(host: "one"), try fetcher(host: "two"))
        let (first, second) = (request(path), request(path, by: 43, message: 2))
        one.send(first.line)
        try await waitForDownload(path)
        two.send(second.line)
        #expect(try await eventually { try !redis.cli("KEYS", "tgpipe:cancel-wake:7/2").isEmpty })
        one.send(cancel(.message(id: 2, chatID: 7), by: 43).line)
        try await expectCancelled(two, second)
        // An owner that gives up must not wake a request that has ended.
        #expect(try redis.cli("KEYS", "*:fetch:waiters") == "")
        one.closeInput()
        #expect(try await one.result().status == 0)
        #expect(try results(one).map(\.type) == ["events.media.fetched"])
    }

    @Test func `A request that is still in a queue when it is cancelled ends as soon as a worker takes it`()
        async throws
    {
        let event = request()
        let pusher = try ToolRun(
            "ev-queue", ["push", "jobs"], environment: ["TGPIPE_REDIS": redis.address], folder: folder)
        pusher.send(event.line)
        pusher.closeInput()
        #expect(try await pusher.result().status == 0)
        let front = try fetcher(host: "two")
        front.send(cancel(.correlation(event.correlationID), by: nil).line)
        front.closeInput()
        #expect(try await front.result().status == 0)
        let worker = try fetcher(["--from", "queue:jobs"], host: "one")
        try await expectCancelled(worker, event)
        worker.signal(SIGTERM)
        #expect(try await worker.result().status == 0)
        #expect(partials("one").isEmpty)
    }
}

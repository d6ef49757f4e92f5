import Foundation
import JSON
import TestSupport
import Testing

/// Watches queues without taking anything.
@Suite(.timeLimit(.minutes(3))) struct QueueTapTests {
    private let queues: QueueFixture

    init() throws { queues = try QueueFixture() }

    private func numbers(_ lines: [String]) throws -> [JSON?] {
        try lines.map { try JSON(parsing: $0)["payload"]?["number"] }
    }

    /// The state of the queue without the age of its events, which grows.
    private func counts() async throws -> [JSON?] {
        let stats = try await queues.stats("jobs")
        return ["events", "dead", "groups"].map { stats[$0] }
    }

    @Test func `New events are printed as they come, and stay for the workers`() async throws {
        _ = try await queues.run("ev-queue", "push", "jobs", input: QueueFixture.events(0..<3))
        let before = try await counts()
        let tap = try queues.start("ev-queue", ["tap", "jobs"])
        let whole = try queues.start("ev-queue", ["tap", "jobs", "--all"])
        _ = try await whole.waitForLines { $0.count == 3 }
        // The first look of `tap` has to come before the next events.
        let clients = try await eventually {
            try self.queues.redis.cli("CLIENT", "LIST").components(separatedBy: "cmd=xread").count == 3
        }
        #expect(clients)
        #expect(try await counts() == before)
        _ = try await queues.run("ev-queue", "push", "jobs", input: QueueFixture.events(3..<5))
        #expect(try numbers(try await tap.waitForLines { $0.count == 2 }) == [3, 4])
        #expect(try numbers(try await whole.waitForLines { $0.count == 5 }) == [0, 1, 2, 3, 4])
        let taken = try await queues.run("ev-queue", "pull", "jobs", "-n", "10")
        #expect(try numbers(taken.lines) == [0, 1, 2, 3, 4])
        for run in [tap, whole] {
            run.signal(SIGTERM)
            #expect(try await run.result(deadline: .seconds(20)).status == 0)
        }
    }

    @Test func `A sample is one of the given number, and a number of events ends the command`() async throws {
        _ = try await queues.run("ev-queue", "push", "jobs", input: QueueFixture.events(0..<1000))
        let result = try await queues.run("ev-queue", "tap", "jobs", "--all", "--sample", "100", "-n", "10")
        #expect(result.status == 0)
        #expect(try numbers(result.lines) == (0..<10).map { .integer($0 * 100) })
    }

    @Test func `A queue that does not exist is waited for and not made`() async throws {
        let tap = try queues.start("ev-queue", ["tap", "later", "-n", "1"])
        let waits = try await eventually { try self.queues.redis.cli("CLIENT", "LIST").contains("cmd=xread") }
        #expect(waits)
        #expect(try queues.redis.cli("KEYS", "*").isEmpty)
        _ = try await queues.run("ev-queue", "push", "later", input: QueueFixture.events(0..<1))
        #expect(try await tap.result(deadline: .seconds(30)).lines == [QueueFixture.events(0..<1)])
    }

    @Test func `Entries of other programs and keys of another kind do no harm`() async throws {
        try queues.redis.cli("XADD", "tgpipe:{queues}:jobs:stream", "*", "x", "1")
        try queues.redis.cli("XADD", "tgpipe:{queues}:jobs:stream", "*", "e", "a\nb")
        try queues.redis.cli("XADD", "tgpipe:{queues}:jobs:stream", "*", "e", "{oops", "z", "2")
        let result = try await queues.run("ev-queue", "tap", "jobs", "--all", "-n", "1")
        #expect(result.status == 0 && result.lines == ["{oops"])
        try queues.redis.cli("SET", "tgpipe:{queues}:text:stream", "x")
        #expect(try await queues.run("ev-queue", "tap", "text").status == 78)
        #expect(try await queues.run("ev-queue", "tap", "jobs", "--sample", "0").status == 64)
    }
}

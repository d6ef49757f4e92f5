import Redis
import System
import TestSupport
import Testing

@testable import Queue

/// Tests the order of many events with one key, what workers tell each other about keys, and what they do not know.
@Suite(.timeLimit(.minutes(2))) struct QueueOrderBacklogTests {
    private let fixture: QueueFixture

    init() throws { fixture = try QueueFixture() }

    private func worker(_ name: String, lease: Duration = .seconds(30), perKey: Int) async throws -> QueueConsumer {
        try await fixture.orderedWorker(name, lease: lease, perKey: perKey)
    }

    private func push(_ chat: Int, _ numbers: ClosedRange<Int>) async throws {
        try await fixture.push(chat: chat, numbers)
    }

    /// Lets time pass for all entries with a due time.
    private func pass(seconds: Int) throws {
        _ = try fixture.server.cli(
            "EVAL",
            "local all = redis.call('ZRANGE', KEYS[1], 0, -1) for _, id in ipairs(all) do redis.call('ZINCRBY', KEYS[1], -ARGV[1], id) end",
            "1", "tgpipe:{queues}:jobs:due:workers", "\(seconds * 1000)")
    }

    @Test func `Thousands of waiting events of one chat delay no event of another`() async throws {
        let waiting = 5000
        try await push(1, 1...1)
        try await push(2, 1...1)
        let a = try await worker("a", lease: .seconds(7200), perKey: 1)
        let taken = try await a.takeNow()
        #expect(taken.map(\.name) == ["1.1", "2.1"])
        let publisher = fixture.publisher("many", maxLength: 10_000)
        _ = try await publisher.publish(
            (2...waiting + 1).map { fixture.line(QueueFixture.event("1", $0)) }, as: publisher.begin())
        let b = try await worker("b", perKey: 1)
        #expect(try await b.takeNow().isEmpty)
        // One step reads no more than it can without keeping other clients waiting.
        #expect(try await fixture.admin.stats().groups.first?.behind ?? 0 <= 300)
        for _ in 0..<waiting / 200 { #expect(try await b.takeNow().isEmpty) }
        #expect(try await fixture.admin.stats().groups.first?.behind == waiting)
        // Only the first of those that wait is looked at again.
        for _ in 0..<3 {
            try pass(seconds: 61)
            let count = "return redis.call('ZCOUNT', KEYS[1], '-inf', redis.call('TIME')[1] .. '000')"
            #expect(try fixture.server.cli("EVAL", count, "1", "tgpipe:{queues}:jobs:due:workers") == "1")
            #expect(try await b.takeNow().isEmpty)
        }
        try await a.retry(taken[1].entry, after: .zero, reason: "it rains")
        let retried = try await b.takeNow()
        #expect(retried.map(\.name) == ["2.1"])
        _ = try await b.finish(retried.map { QueueResult($0.entry) })
        // Those behind the first are looked at after an hour, and put off again.
        try pass(seconds: 3600)
        for _ in 0..<waiting / 200 { #expect(try await b.takeNow().isEmpty) }
        // The chat goes on in order, as soon as its first event is finished.
        _ = try await a.finish([QueueResult(taken[0].entry)])
        for number in 2...40 {
            let next = try await a.takeNow()
            #expect(next.map(\.name) == ["1.\(number)"])
            _ = try await a.finish(next.map { QueueResult($0.entry) })
        }
    }

    @Test func `Many links of an older version do not stop a chat`() async throws {
        try await push(1, 1...200)
        let a = try await worker("a", perKey: 1)
        #expect(try await a.takeNow().map(\.name) == ["1.1"])
        #expect(try await fixture.admin.stats().groups.first?.behind == 199)
        let entries = try await fixture.admin.pending(group: "workers", limit: 150)
        for pending in entries {
            _ = try fixture.server.cli("XACK", fixture.queue.streamKey, "workers", pending.entry.id)
            _ = try fixture.server.cli("ZREM", "tgpipe:{queues}:jobs:due:workers", pending.entry.id)
        }
        try await push(1, 201...201)
        try pass(seconds: 3601)
        #expect(try await a.takeNow().map(\.name) == ["1.151"])
    }

    @Test func `The owner of a chat gets an event that is retried, also when another worker finds it`() async throws {
        try await push(1, 1...3)
        let (a, b) = (try await worker("a", perKey: 8), try await worker("b", perKey: 8))
        let taken = try await a.takeNow()
        #expect(taken.map(\.name) == ["1.1", "1.2", "1.3"])
        try await a.retry(taken[1].entry, after: .zero, reason: "it rains")
        try await a.release([taken[2].entry])
        #expect(try await b.takeNow().isEmpty)
        #expect(try await a.takeNow().map(\.name) == ["1.2", "1.3"])
    }

    @Test func `A message to the owner of a chat that is lost is repeated`() async throws {
        try await push(1, 1...1)
        let (a, b) = (
            try await worker("a", lease: .seconds(7200), perKey: 8), try await worker("b", perKey: 8)
        )
        #expect(try await a.takeNow().map(\.name) == ["1.1"])
        try await push(1, 2...3)
        #expect(try await b.takeNow().isEmpty)
        _ = try fixture.server.cli("DEL", "tgpipe:{queues}:jobs:order-inboxes:workers")
        #expect(try await a.takeNow().isEmpty)
        try pass(seconds: 61)
        #expect(try await b.takeNow().isEmpty)
        #expect(try await a.takeNow().map(\.name) == ["1.2", "1.3"])
    }

    @Test func `Messages to owners are in one key, which does not last`() async throws {
        let inboxes = "tgpipe:{queues}:jobs:order-inboxes:workers"
        for chat in 1...3 { try await push(chat, 1...1) }
        let (a, b) = (try await worker("a", perKey: 8), try await worker("b", perKey: 8))
        #expect(try await a.takeNow().count == 3)
        for chat in 1...3 { try await push(chat, 2...2) }
        #expect(try await b.takeNow().isEmpty)
        #expect(try fixture.server.cli("ZCARD", inboxes) == "3")
        #expect(try await a.takeNow(1).count == 1)
        #expect(try fixture.server.cli("ZCARD", inboxes) == "2")
        #expect(Int(try fixture.server.cli("TTL", inboxes)) ?? -1 > 0)
        // Those of other workers stay.
        try await b.close()
        #expect(try fixture.server.cli("ZCARD", inboxes) == "2")
        try await a.close()
        #expect(try fixture.server.cli("EXISTS", inboxes) == "0")
    }

    // MARK: What a worker does not know

    @Test func `Events whose delivery was lost keep their place in the chat`() async throws {
        try await push(1, 1...3)
        let a = try await worker("a", lease: .seconds(2), perKey: 64)
        let known = try await a.takeNow(1)
        // The server gives the same worker two more, and the answer is lost.
        #expect(try await worker("a", perKey: 64).takeNow().map(\.name) == ["1.2", "1.3"])
        let due = "tgpipe:{queues}:jobs:due:workers"
        _ = try fixture.server.cli("RENAME", due, "tgpipe:{queues}:aside")
        _ = try fixture.server.cli("SET", due, "x")
        await #expect(throws: (any Error).self) { try await a.takeNow() }
        _ = try fixture.server.cli("DEL", due)
        _ = try fixture.server.cli("RENAME", "tgpipe:{queues}:aside", due)
        try await push(1, 4...4)
        var names = known.map(\.name)
        #expect(try await a.takeNow().isEmpty)
        _ = try await a.finish(known.map { QueueResult($0.entry) })
        let second = try await a.takeNow()
        names += second.map(\.name)
        #expect(names == ["1.1", "1.2", "1.3", "1.4"])
        // A call that was lost may be executed after the next one.
        _ = try await a.finish(second.map { QueueResult($0.entry) })
        try await push(1, 5...6)
        #expect(try await worker("a", perKey: 64).takeNow(1).map(\.name) == ["1.5"])
        let last = try await a.takeNow()
        #expect(last.map(\.name) == ["1.5", "1.6"])
    }

    @Test func `In the last third of a lease a worker asks before it goes on`() async throws {
        try await push(1, 1...1)
        let (a, b) = (try await worker("a", lease: .seconds(4), perKey: 64), try await worker("b", perKey: 64))
        let taken = try #require(try await a.takeNow().first)
        // The server's clock is ahead of the worker's.
        _ = try fixture.server.cli("ZADD", "tgpipe:{queues}:jobs:due:workers", "1", taken.entry.id)
        #expect(try await b.takeNow().map(\.name) == ["1.1"])
        #expect(try await a.isLeased(taken.entry))
        try await Task.sleep(for: .seconds(2.8))
        #expect(try await !a.isLeased(taken.entry))
    }
}

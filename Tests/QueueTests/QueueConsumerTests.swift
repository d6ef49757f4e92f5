import Redis
import TestSupport
import Testing

@testable import Queue

@Suite(.timeLimit(.minutes(2))) struct QueueConsumerTests {
    private let fixture: QueueFixture

    init() throws { fixture = try QueueFixture() }

    @Test func `Each group receives every event in order and its workers share them`() async throws {
        try await fixture.push("1", "2", "3", "4")
        let (a, b) = (try await fixture.consumer("a"), try await fixture.consumer("b"))
        let other = try await fixture.consumer("c", group: "others")
        #expect(try await a.takeNow(2).map(\.text) == ["1", "2"])
        #expect(try await b.takeNow().map(\.text) == ["3", "4"])
        #expect(try await a.takeNow().isEmpty)
        #expect(try await other.takeNow().map(\.text) == ["1", "2", "3", "4"])
    }

    @Test func `Publishing the results and acknowledging the event happen in one step`() async throws {
        let output = try QueueName("results")
        try await fixture.push("1", "2")
        let consumer = try await fixture.consumer("a")
        let taken = try await consumer.takeNow()
        let results = [
            QueueResult(taken[0].entry, lines: [fixture.line("1a"), fixture.line("1b")]), QueueResult(taken[1].entry),
        ]
        #expect(try await consumer.finish(results, to: QueueOutputs([output])) == .done(lost: []))
        #expect(try await fixture.lines(in: output) == ["1a", "1b"])
        #expect(try await fixture.admin.stats().events == 0)
        // A repetition, as after an answer that did not come, does nothing.
        _ = try await consumer.finish(results, to: QueueOutputs([output]))
        #expect(try await fixture.lines(in: output) == ["1a", "1b"])
    }

    @Test func `A worker that lost its lease publishes nothing`() async throws {
        let output = try QueueName("results")
        try await fixture.push("1")
        let slow = try await fixture.consumer("slow", lease: .milliseconds(50))
        let first = try #require(try await slow.takeNow().first)
        let other = try await fixture.consumer("other", lease: .milliseconds(50))
        let second = try await other.takeOne()
        #expect(second.entry.attempt == 2)
        #expect(
            try await slow.finish([QueueResult(first.entry, lines: [fixture.line("late")])], to: QueueOutputs([output]))
                == .done(lost: [first.entry]))
        #expect(try await slow.confirm([first.entry]) == [first.entry])
        #expect(try await !slow.retry(first.entry, after: .zero, reason: "late"))
        _ = try await other.finish(
            [QueueResult(second.entry, lines: [fixture.line("in time")])], to: QueueOutputs([output]))
        #expect(try await fixture.lines(in: output) == ["in time"])
    }

    @Test func `Entries that a worker returns at its end are given out in their order again`() async throws {
        let texts = (1...300).map(String.init)
        // Of the same millisecond, so that the ids in the order of texts would be 1, 10, 100, …
        try await fixture.push(contentsOf: texts)
        let first = try await fixture.consumer("a")
        #expect(try await first.takeNow(300).count == 300)
        try await first.close()
        let taken = try await fixture.consumer("b").takeNow(300)
        #expect(taken.map(\.text) == texts)
        #expect(taken.allSatisfy { $0.entry.attempt == 1 })
    }

    @Test func `A lost lease is reported once and remembered`() async throws {
        try await fixture.push("1")
        let slow = try await fixture.consumer("slow", lease: .milliseconds(50))
        let first = try #require(try await slow.takeNow().first)
        _ = try await fixture.consumer("other", lease: .milliseconds(50)).takeOne()
        #expect(try await slow.renew() == [first.entry])
        #expect(try await slow.renew().isEmpty)
        #expect(try await slow.confirm([first.entry]) == [first.entry])
    }

    @Test func `A worker that claims its own event again holds a new lease`() async throws {
        try await fixture.push("1")
        let consumer = try await fixture.consumer("a", lease: .milliseconds(30))
        let first = try #require(try await consumer.takeNow().first)
        let second = try await consumer.takeOne()
        #expect(try await consumer.finish([QueueResult(first.entry)]) == .done(lost: [first.entry]))
        #expect(try await consumer.finish([QueueResult(second.entry)]) == .done(lost: []))
    }

    @Test func `A renewed lease is not lost`() async throws {
        try await fixture.push("1")
        let consumer = try await fixture.consumer("a", lease: .seconds(2))
        let taken = try #require(try await consumer.takeNow().first)
        let other = try await fixture.consumer("b", lease: .seconds(2))
        for _ in 0..<8 {
            try await Task.sleep(for: .milliseconds(300))
            #expect(try await consumer.renew().isEmpty)
            #expect(try await other.takeNow().isEmpty)
        }
        #expect(try await consumer.finish([QueueResult(taken.entry)]) == .done(lost: []))
        #expect(try await consumer.renew().isEmpty)
    }

    @Test func `A failed event is retried after its delay and counted`() async throws {
        try await fixture.push("1")
        let consumer = try await fixture.consumer("a")
        let first = try #require(try await consumer.takeNow().first)
        #expect(first.entry.attempt == 1)
        try await consumer.retry(first.entry, after: .seconds(1), reason: "it rains")
        #expect(try await consumer.takeNow().isEmpty)
        let pending = try #require(try await fixture.admin.pending(group: "workers", limit: 10).first)
        #expect(pending.state == .retrying && pending.lastFailure == "it rains" && pending.attempts == 1)
        #expect(try await consumer.takeOne().entry.attempt == 2)
    }

    @Test func `Holding an event counts no attempt and ends when it is woken`() async throws {
        try await fixture.push("1", "2")
        let consumer = try await fixture.consumer("a")
        let taken = try await consumer.takeNow()
        for item in taken { try await consumer.hold(item.entry, for: .seconds(3600)) }
        #expect(try await consumer.takeNow().isEmpty)
        let waiter = try #require(QueueWaiter(consumer.waiter(of: taken[0].entry)))
        try await QueueWaiter.wake([waiter], redis: fixture.redis)
        let again = try await consumer.takeNow()
        #expect(again.map(\.text) == ["1"])
        #expect(again.first?.entry.attempt == 1)
    }

    @Test func `An event woken while it is being handled is not held`() async throws {
        try await fixture.push("1")
        let consumer = try await fixture.consumer("a")
        let taken = try #require(try await consumer.takeNow().first)
        let waiter = try #require(QueueWaiter(consumer.waiter(of: taken.entry)))
        try await QueueWaiter.wake([waiter], redis: fixture.redis)
        try await consumer.hold(taken.entry, for: .seconds(3600))
        #expect(try await consumer.takeNow().map(\.text) == ["1"])
    }

    @Test func `A wake-up reaches a worker that waits for events`() async throws {
        try await fixture.push("1")
        let consumer = try await fixture.consumer("a")
        let taken = try #require(try await consumer.takeNow().first)
        try await consumer.hold(taken.entry, for: .seconds(3600))
        async let next = consumer.takeOne()
        try await Task.sleep(for: .milliseconds(50))
        let waiter = try #require(QueueWaiter(consumer.waiter(of: taken.entry)))
        try await QueueWaiter.wake([waiter], redis: fixture.redis)
        #expect(try await next.text == "1")
    }

    @Test func `An event that ended two workers is delivered alone`() async throws {
        try await fixture.push("poison")
        for number in 1...2 {
            let victim = try await fixture.consumer("victim\(number)", lease: .milliseconds(20))
            #expect(try await victim.takeOne().entry.attempt == number)
        }
        try await fixture.push("harmless")
        try await Task.sleep(for: .milliseconds(50))
        let consumer = try await fixture.consumer("a")
        guard case .taken(.suspect) = try await consumer.take(limit: 10, isIdle: false) else {
            Issue.record("a busy worker was given it, or went on without it")
            return
        }
        guard case .taken(.alone(let taken)) = try await consumer.take(limit: 10, isIdle: true) else {
            Issue.record("it came in company")
            return
        }
        #expect(taken.text == "poison" && taken.entry.attempt == 3)
        // A failure is not the end of a worker: with one failure among three attempts it ended two.
        try await consumer.retry(taken.entry, after: .zero, reason: "caught")
        guard case .taken(.alone) = try await consumer.take(limit: 10, isIdle: true) else {
            Issue.record("it came in company after a failure")
            return
        }
    }

    @Test func `An event that failed often is still delivered with others`() async throws {
        try await fixture.push("1")
        let consumer = try await fixture.consumer("a")
        for _ in 0..<4 { try await consumer.retry(try await consumer.takeOne().entry, after: .zero, reason: "no") }
        try await fixture.push("2")
        #expect(try await consumer.takeNow(isIdle: false).map(\.text) == ["1", "2"])
    }

    @Test func `A worker that closes gives its events back`() async throws {
        try await fixture.push("1", "2")
        let consumer = try await fixture.consumer("a")
        _ = try await consumer.takeNow()
        try await consumer.close()
        let other = try await fixture.consumer("b")
        #expect(try await other.takeNow().map(\.entry.attempt) == [1, 1])
        #expect(!(try fixture.server.cli("XINFO", "CONSUMERS", fixture.queue.streamKey, "workers").contains("\na\n")))
    }

    @Test func `Events whose delivery did not reach the worker come to it again at once`() async throws {
        try await fixture.push("1", "2", "3")
        let consumer = try await fixture.consumer("a")
        let known = try await consumer.takeNow(1)
        // The server gives the same worker two more, and the answer is lost.
        _ = try await fixture.consumer("a").takeNow()
        let due = "tgpipe:{queues}:jobs:due:workers"
        _ = try fixture.server.cli("RENAME", due, "tgpipe:{queues}:aside")
        _ = try fixture.server.cli("SET", due, "x")
        await #expect(throws: (any Error).self) { try await consumer.takeNow() }
        _ = try fixture.server.cli("RENAME", "tgpipe:{queues}:aside", due)
        let again = try await consumer.takeNow()
        #expect(again.map(\.text) == ["2", "3"] && again.map(\.entry.attempt) == [1, 1])
        // It keeps what it knows of.
        let results = (known + again).map { QueueResult($0.entry) }
        #expect(try await consumer.finish(results) == .done(lost: []))
    }

    @Test func `A worker that waits at a primary server that was replaced gets what comes to the new one`() async throws
    {
        let group = try RedisSentinels()
        let address = try RedisAddress(parsing: group.address + "?replicas=1")
        let (redis, waiting) = (Redis(address, clientName: "test"), Redis(address, clientName: "waiting"))
        let consumer = try QueueConsumer(
            fixture.queue, redis: redis, waiting: waiting, settings: .init(group: "workers", worker: "a"))
        try await consumer.open()
        guard case .nothing(let lull) = try await consumer.take(limit: 1, isIdle: true) else {
            Issue.record("an entry in an empty queue")
            return
        }
        async let news: Void? = try? consumer.waitForNews(lull, atMost: .seconds(30))
        try await Task.sleep(for: .milliseconds(200))
        _ = try await group.replaceUnknowingPrimary()
        let writer = Redis(address, clientName: "writer")
        try await withRetry(for: .seconds(30)) { () throws(RedisError) in
            _ = try await writer.send("XADD", .text(fixture.queue.streamKey), "*", "e", "1")
        }
        _ = await news
        while true {
            let answer = try? await consumer.take(limit: 1, isIdle: true)
            if case .taken(let taken) = answer, let entry = taken.entries.first {
                #expect(entry.text == "1")
                break
            }
            if case .nothing(let lull) = answer { try? await consumer.waitForNews(lull, atMost: .seconds(30)) }
        }
    }

    @Test func `Events read without a lease are claimed again`() async throws {
        try await fixture.push("1")
        _ = try await fixture.consumer("a")
        _ = try fixture.server.cli(
            "XREADGROUP", "GROUP", "workers", "stranger", "COUNT", "1", "STREAMS", fixture.queue.streamKey, ">")
        let consumer = try await fixture.consumer("b", lease: .milliseconds(20))
        #expect(try await consumer.takeOne().text == "1")
    }

    @Test func `A queue purged under its workers is created again`() async throws {
        let consumer = try await fixture.consumer("a")
        try await fixture.push("1")
        #expect(try await fixture.admin.purge() == 1)
        #expect(try await consumer.takeNow().isEmpty)
        try await fixture.push("2")
        #expect(try await consumer.takeNow().map(\.text) == ["2"])
    }
}

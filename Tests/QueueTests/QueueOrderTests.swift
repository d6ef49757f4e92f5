import Redis
import Synchronization
import System
import TestSupport
import Testing

@testable import Queue

/// Tests the order of the events with one key, over several workers.
@Suite(.timeLimit(.minutes(2))) struct QueueOrderTests {
    private let fixture: QueueFixture

    init() throws { fixture = try QueueFixture() }

    private func worker(
        _ name: String, lease: Duration = .seconds(30), perKey: Int = 64, inBatches: Bool = false
    ) async throws -> QueueConsumer {
        try await fixture.orderedWorker(name, lease: lease, perKey: perKey, inBatches: inBatches)
    }

    private func push(_ chat: Int, _ numbers: ClosedRange<Int>) async throws {
        try await fixture.push(chat: chat, numbers)
    }

    /// Returns the keys that Redis holds for the order.
    private func orderKeys() async throws -> [String] {
        let keys = try await fixture.redis.send(["KEYS", "*order*"], near: "tgpipe:{queues}:names").array ?? []
        return keys.compactMap(\.string)
    }

    // MARK: One owner

    @Test func `A chat belongs to the worker that has its first event, and other chats to others`() async throws {
        try await push(1, 1...2)
        let (a, b) = (try await worker("a"), try await worker("b"))
        let first = try await a.takeNow(1)
        #expect(first.map(\.name) == ["1.1"])
        try await push(2, 1...1)
        try await push(1, 3...3)
        #expect(try await b.takeNow().map(\.name) == ["2.1"])
        // The owner gets what the other one has read.
        #expect(try await a.takeNow().map(\.name) == ["1.2", "1.3"])
        #expect(try await fixture.admin.stats().groups.first?.behind == 0)
    }

    @Test func `A worker gives a chat up with its last event`() async throws {
        try await push(1, 1...1)
        let (a, b) = (try await worker("a"), try await worker("b"))
        let first = try await a.takeNow()
        _ = try await a.finish(first.map { QueueResult($0.entry) })
        try await push(1, 2...2)
        #expect(try await b.takeNow().map(\.name) == ["1.2"])
    }

    @Test func `An event that waits behind another is given out at once when that one is finished`() async throws {
        try await push(1, 1...2)
        let (a, b) = (try await worker("a", perKey: 1), try await worker("b", perKey: 1))
        let first = try await a.takeNow()
        #expect(first.map(\.name) == ["1.1"])
        #expect(try await fixture.admin.pending(group: "workers", limit: 10).map(\.state) == [.working, .behind])
        async let second = b.takeOne()
        try await Task.sleep(for: .milliseconds(200))
        let start = ContinuousClock.now
        _ = try await a.finish(first.map { QueueResult($0.entry) })
        let taken = try await second
        #expect(taken.name == "1.2" && taken.entry.attempt == 1)
        #expect(.now - start < .seconds(2))
    }

    @Test func `A worker has at most so many events of a chat, and other chats pass`() async throws {
        try await push(1, 1...5)
        try await push(2, 1...1)
        let a = try await worker("a", perKey: 2)
        let taken = try await a.takeNow()
        #expect(taken.map(\.name) == ["1.1", "1.2", "2.1"])
        _ = try await a.finish([QueueResult(taken[0].entry)])
        #expect(try await a.takeNow().map(\.name) == ["1.3"])
    }

    @Test func `A worker in batches gets no further event of a chat before its batch is finished`() async throws {
        try await push(1, 1...2)
        let a = try await worker("a", perKey: 2, inBatches: true)
        let batch = try await a.takeNow()
        #expect(batch.map(\.name) == ["1.1", "1.2"])
        _ = try await a.finish([QueueResult(batch[0].entry)])
        try await push(1, 3...4)
        #expect(try await a.takeNow().isEmpty)
        _ = try await a.finish([QueueResult(batch[1].entry)])
        #expect(try await a.takeNow().map(\.name) == ["1.3", "1.4"])
    }

    @Test func `Events of a type without order wait behind nothing`() async throws {
        let rules = [
            QueueOrder.Rule(types: "commands.press", paths: []),
            QueueOrder.Rule(types: "commands.", paths: ["payload.chat_id"]),
            QueueOrder.Rule(types: "events.", paths: ["request"]),
        ]
        let order = try QueueOrder(rules: rules, entriesPerKey: 1, isInBatches: false)
        let event = { (type: String, chat: Int, request: String) in
            #"{"type":"\#(type)","payload":{"chat_id":\#(chat)},"request":"\#(request)"}"#
        }
        let lines = [
            event("commands.say", 1, "r"), event("commands.edit", 1, "s"), event("commands.press", 1, "r"),
            event("events.ready", 1, "r"), event("events.failed", 2, "r"), event("other", 1, "r"),
        ]
        for line in lines { try await fixture.push(line) }
        let taken = try await fixture.consumer("a", order: order).takeNow()
        #expect(taken.map(\.text) == [lines[0], lines[2], lines[3], lines[5]])
    }

    @Test func `Events without a key, and lines that are no JSON, keep nobody waiting`() async throws {
        let lines = [
            #"{"payload":{}}"#, "not JSON", #"{"payload":{"chat_id":null}}"#, #"{"payload":{"chat_id":[1]}}"#, "7",
        ]
        for line in lines + lines { try await fixture.push(line) }
        let (a, b) = (try await worker("a"), try await worker("b"))
        #expect(try await a.takeNow(5).map(\.text) == lines)
        #expect(try await b.takeNow(5).map(\.text) == lines)
        #expect(try await orderKeys().isEmpty)
    }

    @Test(arguments: [
        (#"{"payload":{"chat_id":42}}"#, #"{"payload":{"chat_id":"42"}}"#, true),
        (#"{"payload":{"chat_id":-1001234567890123}}"#, #"{"payload":{"chat_id":-1001234567890124}}"#, false),
        (#"{"payload":{},"meta":{"origin":{"chat_id":42}}}"#, #"{"payload":{"chat_id":4.2e1}}"#, true),
        (#"{"payload":{"chat_id":7},"meta":{"origin":{"chat_id":42}}}"#, #"{"payload":{"chat_id":42}}"#, false),
        (#"{"payload":{"chat_id":42,"text":"\ud83d"}}"#, #"{"payload":{"chat_id":42,"text":"\\ud83d \udc00"}}"#, true),
        (#"{"payload":{"chat_id":"@news"}}"#, #"{"payload":{"chat_id":"@other"}}"#, false),
        (#"{"payload":{"chat_id":1e999}}"#, #"{"payload":{"chat_id":99999999999999999999999999}}"#, false),
    ])
    func `The first path with a text or a number gives the key`(_ one: String, _ two: String, isSame: Bool) async throws
    {
        try await fixture.push(one, two)
        let (a, b) = (try await worker("a", perKey: 1), try await worker("b", perKey: 1))
        #expect(try await a.takeNow(1).map(\.text) == [one])
        #expect(try await b.takeNow(1).map(\.text) == (isSame ? [] : [two]))
    }

    @Test func `A long key takes no more room than another`() async throws {
        let chat = "\"@" + String(repeating: "x", count: 60_000) + "\""
        for number in 1...2 { try await fixture.push(QueueFixture.event(chat, number)) }
        let (a, b) = (try await worker("a", perKey: 1), try await worker("b", perKey: 1))
        let first = try await a.takeNow()
        #expect(first.count == 1)
        #expect(try await b.takeNow().isEmpty)
        for key in try await orderKeys() {
            #expect(try await fixture.redis.send("MEMORY", "USAGE", .text(key)).int ?? .max < 1000)
        }
    }

    @Test func `Lines of more than 64 KiB are not searched for a key`() async throws {
        let tail = String(repeating: " ", count: 70_000)
        for number in 1...2 { try await fixture.push(QueueFixture.event("1", number) + tail) }
        #expect(try await worker("a", perKey: 1).takeNow().count == 2)
        #expect(try await orderKeys().isEmpty)
    }

    // MARK: Failures

    @Test func `A retry keeps the later events of its chat waiting, and no other chat`() async throws {
        try await push(1, 1...3)
        let (a, b) = (try await worker("a"), try await worker("b"))
        let taken = try await a.takeNow()
        try await a.retry(taken[0].entry, after: .seconds(1), reason: "it rains")
        try await a.release([taken[2].entry, taken[1].entry])
        try await push(2, 1...1)
        try await push(1, 4...4)
        #expect(try await b.takeNow().map(\.name) == ["2.1"])
        #expect(try await a.takeNow().isEmpty)
        try await Task.sleep(for: .seconds(1.1))
        let again = try await b.takeNow()
        #expect(again.map(\.name) == ["1.1", "1.2", "1.3", "1.4"])
        #expect(again.map(\.entry.attempt) == [2, 1, 1, 1])
    }

    @Test func `An event that is put off keeps its chat waiting without an attempt`() async throws {
        try await push(1, 1...2)
        let a = try await worker("a", perKey: 1)
        let first = try #require(try await a.takeNow().first)
        try await a.postpone(first.entry, for: .seconds(1))
        #expect(try await a.takeNow().isEmpty)
        try await Task.sleep(for: .seconds(1.1))
        let again = try await a.takeNow()
        #expect(again.map(\.name) == ["1.1"] && again.first?.entry.attempt == 1)
    }

    @Test func `A held event lets its chat go on`() async throws {
        try await push(1, 1...2)
        let (a, b) = (try await worker("a", perKey: 1), try await worker("b", perKey: 1))
        let first = try #require(try await a.takeNow().first)
        try await a.hold(first.entry, for: .seconds(3600))
        let second = try await b.takeNow()
        #expect(second.map(\.name) == ["1.2"])
        // When it is woken, the chat belongs to the other worker, which gets it behind its own event.
        let waiter = try #require(QueueWaiter(a.waiter(of: first.entry)))
        try await QueueWaiter.wake([waiter], redis: fixture.redis)
        #expect(try await a.takeNow().isEmpty)
        _ = try await b.finish(second.map { QueueResult($0.entry) })
        #expect(try await b.takeNow().map(\.name) == ["1.1"])
    }

    @Test func `A dead letter lets its chat go on`() async throws {
        try await push(1, 1...2)
        let a = try await worker("a", perKey: 1)
        let first = try #require(try await a.takeNow().first)
        let reason = DeadLetterReason(code: "failed", text: "refused")
        #expect(try await a.moveToDeadLetters(first.entry, reason, tool: "test") == true)
        #expect(try await a.takeNow().map(\.name) == ["1.2"])
    }

    @Test func `What a dead worker had comes first and in order, and the worker learns of it before it goes on`()
        async throws
    {
        try await push(1, 1...4)
        let a = try await worker("a", lease: .seconds(1), perKey: 3)
        let taken = try await a.takeNow()
        #expect(taken.map(\.name) == ["1.1", "1.2", "1.3"])
        #expect(try await a.isLeased(taken[1].entry))
        // The lease of the second is still good when that of the first ends.
        try await Task.sleep(for: .milliseconds(600))
        #expect(try await a.confirm([taken[1].entry]).isEmpty)
        try await Task.sleep(for: .milliseconds(500))
        let b = try await worker("b", lease: .seconds(30), perKey: 2)
        let moved = try await b.takeNow()
        #expect(moved.map(\.name) == ["1.1", "1.2"])
        #expect(moved.map(\.entry.attempt) == [2, 2])
        for entry in taken { #expect(try await !a.isLeased(entry.entry)) }
        _ = try await b.finish(moved.map { QueueResult($0.entry) })
        #expect(try await b.takeNow().map(\.name) == ["1.3", "1.4"])
    }

    @Test func `A worker that was silent and lost nothing goes on`() async throws {
        try await push(1, 1...1)
        let a = try await worker("a", lease: .milliseconds(500))
        let taken = try #require(try await a.takeNow().first)
        try await Task.sleep(for: .milliseconds(700))
        #expect(try await a.isLeased(taken.entry))
        #expect(try await worker("b").takeNow().isEmpty)
    }

    @Test func `An event that ended two workers is delivered alone, and the rest of its chat behind it`() async throws {
        try await push(1, 1...2)
        for number in 1...2 {
            let victim = try await worker("victim\(number)", lease: .milliseconds(20), perKey: 1)
            #expect(try await victim.takeOne().name == "1.1")
        }
        try await Task.sleep(for: .milliseconds(50))
        let a = try await worker("a")
        guard case .taken(.suspect) = try await a.take(limit: 10, isIdle: false) else {
            Issue.record("a busy worker was given it, or went on without it")
            return
        }
        guard case .taken(.alone(let suspect)) = try await a.take(limit: 10, isIdle: true) else {
            Issue.record("it came in company")
            return
        }
        #expect(suspect.name == "1.1")
        _ = try await a.finish([QueueResult(suspect.entry)])
        #expect(try await a.takeNow().map(\.name) == ["1.2"])
    }

    @Test func `Several events that ended two workers are each delivered as soon as a worker is idle`() async throws {
        for chat in 1...15 { try await push(chat, 1...2) }
        for number in 1...2 {
            let victim = try await worker("victim\(number)", lease: .milliseconds(20))
            var count = 0
            while count < 30 { count += try await victim.takeNow(30).count }
            try await Task.sleep(for: .milliseconds(50))
        }
        let a = try await worker("a")
        var names: [String] = []
        let start = ContinuousClock.now
        while names.count < 30, .now - start < .seconds(20) {
            _ = try await a.take(limit: 10, isIdle: false)
            let taken = try await a.takeNow()
            names += taken.map(\.name)
            _ = try await a.finish(taken.map { QueueResult($0.entry) })
        }
        for chat in 1...15 { #expect(names.filter { $0.hasPrefix("\(chat).") } == ["\(chat).1", "\(chat).2"]) }
    }

    @Test func `A worker that ends returns its events in order`() async throws {
        try await push(1, 1...5)
        let a = try await worker("a", perKey: 3)
        #expect(try await a.takeNow().count == 3)
        try await a.close()
        let again = try await worker("b").takeNow()
        #expect(again.map(\.name) == ["1.1", "1.2", "1.3", "1.4", "1.5"])
        #expect(again.allSatisfy { $0.entry.attempt == 1 })
    }

    // MARK: State in Redis

    @Test func `Nothing of the order is left when all events are finished`() async throws {
        for chat in 1...300 { try await push(chat, 1...2) }
        let (a, b) = (try await worker("a", perKey: 1), try await worker("b", perKey: 1))
        var count = 0
        while count < 600 {
            for consumer in [a, b] {
                let taken = try await consumer.takeNow(50)
                count += taken.count
                _ = try await consumer.finish(taken.map { QueueResult($0.entry) })
            }
        }
        try await a.close()
        try await b.close()
        #expect(try await orderKeys().isEmpty)
    }

    @Test func `A worker without the order takes part and loses or repeats nothing`() async throws {
        for chat in 1...10 { try await push(chat, 1...10) }
        let (new, old) = (try await worker("new", perKey: 2), try await fixture.consumer("old"))
        var names: [String] = []
        var round = 0
        while names.count < 100 {
            let consumer = round % 2 == 0 ? new : old
            let taken = try await consumer.takeNow(7)
            // What one gives back, the other may take.
            if round % 5 == 0 {
                try await consumer.release(taken.map(\.entry))
            } else {
                names += taken.map(\.name)
                _ = try await consumer.finish(taken.map { QueueResult($0.entry) })
            }
            round += 1
            try #require(round < 200)
        }
        #expect(Set(names).count == 100 && names.count == 100)
        #expect(try await fixture.admin.stats().events == 0)
    }

    @Test func `Links that a worker of an older version leaves do not stop a chat`() async throws {
        try await push(1, 1...3)
        let a = try await worker("a", perKey: 1)
        let first = try #require(try await a.takeNow().first)
        // A worker of an older version acknowledges without the order's keys.
        _ = try await fixture.redis.send("XACK", .text(fixture.queue.streamKey), "workers", .text(first.entry.id))
        _ = try await fixture.redis.send(
            "ZREM", .text("tgpipe:{queues}:jobs:due:workers"), .text(first.entry.id))
        try await push(1, 4...4)
        // It is looked at again after a minute; here that minute is over.
        let behind = try await fixture.admin.pending(group: "workers", limit: 1)
        #expect(behind.map(\.state) == [.behind])
        _ = try await fixture.redis.send(
            "ZADD", .text("tgpipe:{queues}:jobs:due:workers"), "0", .text(behind[0].entry.id))
        #expect(try await a.takeNow().map(\.name) == ["1.2"])
    }

    @Test func `Purging a group removes the keys of its order`() async throws {
        try await push(1, 1...1)
        _ = try await worker("a", perKey: 8).takeNow()
        try await push(1, 2...2)
        _ = try await worker("b", perKey: 8).takeNow()
        #expect(try await orderKeys().count == 3)
        #expect(try await fixture.admin.removeGroup("nobody") == false)
        _ = try await fixture.admin.purge()
        #expect(try await orderKeys().isEmpty)
    }

    @Test func `A full server lets ordered events go on`() async throws {
        try await push(1, 1...20)
        let a = try await worker("a", perKey: 2)
        _ = try await a.takeNow()
        _ = try await fixture.redis.send("CONFIG", "SET", "maxmemory", "1")
        defer { _ = try? fixture.server.cli("CONFIG", "SET", "maxmemory", "0") }
        var taken = try await worker("b", perKey: 2).takeNow()
        #expect(taken.isEmpty)
        try await a.close()
        let b = try await worker("c", perKey: 2)
        var names: [String] = []
        for _ in 0..<10 {
            taken = try await b.takeNow()
            names += taken.map(\.name)
            _ = try await b.finish(taken.map { QueueResult($0.entry) })
        }
        #expect(names == (1...20).map { "1.\($0)" })
    }

    // MARK: All together

    /// Three workers with random pauses, failures, silence and ends; 20 chats.
    @Test(arguments: [1, 8]) func `Every chat keeps its order over workers that fail, stall and die`(perKey: Int)
        async throws
    {
        let (chats, each) = (20, 30)
        for number in 1...each {
            try await fixture.push(contentsOf: (1...chats).map { QueueFixture.event("\($0)", number) })
        }
        let record = EffectRecord()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for place in 0..<3 {
                group.addTask {
                    var life = 0
                    while await record.count < chats * each {
                        life += 1
                        try await live("w\(place).\(life)", perKey: perKey, record, until: chats * each)
                    }
                }
            }
            try await group.waitForAll()
        }
        for chat in 1...chats {
            #expect(await record.numbers(of: "\(chat)") == Array(1...each), "chat \(chat)")
        }
    }

    /// One life of a worker: it handles the events of each chat one after the other, and dies without a word.
    private func live(_ name: String, perKey: Int, _ record: EffectRecord, until count: Int) async throws {
        let consumer = try await worker(name, lease: .milliseconds(700), perKey: perKey)
        let end = ContinuousClock.now + .milliseconds(Int.random(in: 300...1500))
        while .now < end, await record.count < count {
            guard case .taken(let taken) = try await consumer.take(limit: 10, isIdle: true) else {
                try await Task.sleep(for: .milliseconds(5))
                continue
            }
            var ended: Set<String> = []
            for item in taken.entries where !ended.contains(item.chat) {
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...4)))
                // A worker that is stopped for longer than its lease wakes in the middle of its work.
                if Int.random(in: 0..<150) == 0 { try await Task.sleep(for: .milliseconds(900)) }
                guard try await consumer.isLeased(item.entry) else {
                    ended.insert(item.chat)
                    continue
                }
                if Int.random(in: 0..<20) == 0, item.entry.attempt < 3 {
                    try await consumer.retry(
                        item.entry, after: .milliseconds(Int.random(in: 0...50)), reason: "by chance")
                    ended.insert(item.chat)
                } else {
                    await record.add(item.name)
                    _ = try await consumer.finish([QueueResult(item.entry)])
                }
            }
            try await consumer.release(taken.entries.filter { ended.contains($0.chat) }.map(\.entry))
        }
    }
}

import System
import TestSupport
import Testing

@testable import Queue

/// Tests of the contents of queues: what they keep, for how long, and queues that are damaged.
@Suite(.timeLimit(.minutes(2))) struct QueueContentsTests {
    private let fixture: QueueFixture

    init() throws { fixture = try QueueFixture() }

    /// The second case stands for servers before Redis 6.2, which cannot trim by id.
    @Test(arguments: [[], [#"rename-command XTRIM """#]])
    func `Only events that every group has acknowledged are trimmed`(_ configuration: [String]) async throws {
        let fixture = try QueueFixture(configuration)
        let (fast, slow) = (try await fixture.consumer("a"), try await fixture.consumer("b", group: "slow"))
        let publisher = fixture.publisher()
        for start in stride(from: 0, to: 1200, by: 100) {
            let lines = (start..<start + 100).map { fixture.line("\($0)") }
            #expect(try await publisher.publish(lines, as: publisher.begin()) == (start < 1000))
            let taken = try await fast.takeNow(100)
            _ = try await fast.finish(taken.map { QueueResult($0.entry) })
        }
        #expect(try fixture.server.cli("XLEN", fixture.queue.streamKey) == "1000")
        let first = try await slow.takeNow(300)
        _ = try await slow.finish(first.dropFirst().map { QueueResult($0.entry) })
        #expect(try await fixture.admin.stats().events == 1000)
        _ = try await slow.finish([QueueResult(first[0].entry)])
        #expect(try await fixture.admin.stats().events == 700)
    }

    @Test func `A full queue accepts nothing until there is room`() async throws {
        let (publisher, consumer) = (fixture.publisher(maxLength: 3), try await fixture.consumer("a"))
        #expect(try await publisher.publish(["1", "2"].map(fixture.line), as: publisher.begin()))
        #expect(try await !publisher.publish(["3", "4"].map(fixture.line), as: publisher.begin()))
        #expect(try await fixture.lines(in: fixture.queue) == ["1", "2"])
        _ = try await consumer.finish(consumer.takeNow(1).map { QueueResult($0.entry) })
        #expect(try await publisher.publish(["3", "4"].map(fixture.line), as: publisher.begin()))
        // More at once than fits is taken when there is nothing else.
        _ = try await consumer.finish(consumer.takeNow().map { QueueResult($0.entry) })
        #expect(try await publisher.publish(["5", "6", "7", "8"].map(fixture.line), as: publisher.begin()))
    }

    @Test func `A full output leaves the input unchanged`() async throws {
        let output = QueueOutputs([try QueueName("results")], maxLength: 1)
        try await fixture.push("1", "2")
        let consumer = try await fixture.consumer("a")
        let taken = try await consumer.takeNow()
        let results = taken.map { QueueResult($0.entry, lines: [fixture.line($0.text)]) }
        #expect(try await consumer.finish([results[0]], to: output) == .done(lost: []))
        #expect(try await consumer.finish([results[1]], to: output) == .full)
        #expect(try await fixture.admin.stats().groups.first?.working == 1)
    }

    @Test func `A repeated publication takes effect once`() async throws {
        let publisher = fixture.publisher()
        let (first, second) = (publisher.begin(), publisher.begin())
        #expect(try await publisher.publish([fixture.line("b")], as: second))
        publisher.end(second)
        for _ in 0..<3 {
            #expect(try await publisher.publish([fixture.line("a")], setting: [("offset", "7")], as: first))
        }
        publisher.end(first)
        #expect(try await fixture.lines(in: fixture.queue) == ["b", "a"])
        #expect(try fixture.server.cli("GET", "offset") == "7")
    }

    @Test func `A dead letter keeps its history and returns to its group only`() async throws {
        try await fixture.push("1")
        let (consumer, other) = (try await fixture.consumer("a"), try await fixture.consumer("b", group: "others"))
        _ = try await other.finish(other.takeNow().map { QueueResult($0.entry) })
        let output = try QueueName("results")
        let taken = try #require(try await consumer.takeNow().first)
        #expect(
            try await consumer.moveToDeadLetters(
                taken.entry, DeadLetterReason(code: "failed", text: "no such page"), tool: "media-fetch",
                lines: [fixture.line("sorry")], to: QueueOutputs([output])) == true)
        #expect(try await fixture.lines(in: output) == ["sorry"])
        let dead = try #require(try await fixture.admin.entries(dead: true, limit: 10).first)
        #expect(String(decoding: dead.line, as: UTF8.self) == "1")
        #expect(dead.text("reason") == "no such page" && dead.text("attempts") == "1" && dead.text("worker") == "a")
        #expect(dead.text("group") == "workers" && dead.text("tool") == "media-fetch" && dead.text("code") == "failed")
        #expect(try await fixture.admin.stats().events == 0)
        #expect(try await fixture.admin.redrive([dead.id, "1-1"]) == 1)
        #expect(try await other.takeNow().isEmpty)
        let again = try #require(try await consumer.takeNow().first)
        #expect(again.text == "1" && again.entry.attempt == 1)
        _ = try await consumer.finish([QueueResult(again.entry)])
        let stats = try await fixture.admin.stats()
        #expect(stats.events == 0 && stats.dead == 0)
    }

    @Test func `A job that is submitted twice is queued once`() async throws {
        let jobs = ["a", "b"].map { QueueAdmin.Job(id: $0, line: Array("job \($0)".utf8)) }
        let submission = QueueAdmin.Submission(window: .seconds(60))
        for _ in 0..<2 { #expect(try await fixture.admin.submit(jobs, maxLength: 10, as: submission) == []) }
        let later = QueueAdmin.Submission(window: .seconds(60))
        let more = jobs + [QueueAdmin.Job(id: "c", line: Array("job c".utf8))]
        #expect(try await fixture.admin.submit(more, maxLength: 10, as: later) == [0, 1])
        #expect(try await fixture.lines(in: fixture.queue) == ["job a", "job b", "job c"])
    }

    @Test func `A job can be submitted again after its window`() async throws {
        let job = [QueueAdmin.Job(id: "a", line: [0x61])]
        for _ in 0..<2 {
            let submission = QueueAdmin.Submission(window: .milliseconds(30))
            #expect(try await fixture.admin.submit(job, maxLength: 10, as: submission) == [])
            try await Task.sleep(for: .milliseconds(60))
        }
    }

    @Test func `A key of another type is reported by its name`() async throws {
        _ = try fixture.server.cli("SET", fixture.queue.streamKey, "x")
        for body: () async throws -> Void in [
            { _ = try await fixture.consumer("a") }, { try await fixture.publisher().open() },
            { _ = try await fixture.admin.stats() }, { _ = try await fixture.admin.entries(dead: false, limit: 1) },
        ] {
            let error = await #expect(throws: QueueError.self) { try await body() }
            #expect(error?.code == .wrongType && error?.exitStatus == .configuration)
            #expect(error?.message.contains(fixture.queue.streamKey) == true)
        }
    }

    @Test func `A Redis server that is too old is reported as that`() async throws {
        let names = ["XADD", "XLEN", "XGROUP", "XINFO"]
        let old = try QueueFixture(names.map { "rename-command \($0) \"\"" })
        for body: () async throws -> Void in [
            { _ = try await old.consumer("a") }, { try await old.publisher().open() },
        ] {
            let error = await #expect(throws: QueueError.self) { try await body() }
            #expect(error?.code == .noStreams && error?.message.contains("version 5.0 or later") == true)
        }
    }

    @Test(arguments: ["", "a b", "a:b", "-a", "a\n", "é", "{a}", String(repeating: "a", count: 101)])
    func `An invalid queue name is refused`(_ text: String) {
        #expect(throws: QueueError.self) { try QueueName(text) }
        #expect(throws: QueueError.self) { try QueueGroup(QueueName("a"), text) }
    }

    @Test func `Any line is read back unchanged`() async throws {
        let bytes: [UInt8] = Array(0...255) + Array(repeating: 0x61, count: 3 << 20)
        let publisher = fixture.publisher()
        #expect(try await publisher.publish([QueueLine(bytes[...])], as: publisher.begin()))
        let taken = try await fixture.consumer("a").takeNow()
        #expect(taken.first?.line == bytes)
    }

    @Test func `A batch is limited in bytes`() async throws {
        let publisher = fixture.publisher()
        for _ in 0..<20 {
            #expect(
                try await publisher.publish(
                    [QueueLine([UInt8](repeating: 0x61, count: 500_000)[...])], as: publisher.begin()))
        }
        let consumer = try await fixture.consumer("a")
        #expect(try await consumer.takeNow(20).count <= 5)
    }
}

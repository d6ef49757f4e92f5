import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests several processes that send for one bot and share only Redis.
@Suite(.timeLimit(.minutes(3))) struct SharedSendTests {
    private let here: SendFixture
    private let queues = ["--from", "queue:send", "--to", "queue:sent", "--lease", "2s"]

    init() throws { here = try SendFixture(clipBytes: 500_000) }

    private func sender(_ arguments: [String] = []) throws -> ToolRun {
        try here.run("tg-send", ["--no-pacing"] + arguments)
    }

    private func uploads() async throws -> Int {
        try await here.telegram.calls("sendVideo").filter { $0["params"]?["video"]?.string == nil }.count
    }

    @Test func `One process uploads the file and the others send its file_id`() async throws {
        try await here.meet(101...160)
        let runs = try (0..<3).map { _ in try sender() }
        for chat in Int64(101)...160 { runs[Int(chat) % 3].send(here.ready(chat: chat).line) }
        for run in runs { run.closeInput() }
        for run in runs { #expect(try await run.result().status == 0) }
        let sent = runs.flatMap(\.lines).compactMap { try? Envelope(try JSON(parsing: $0)) }
        #expect(sent.count == 60)
        #expect(sent.filter { $0.payload["cached"] == false }.count == 1)
        #expect(try await uploads() == 1)
    }

    @Test func `A failed upload is reported to every waiting chat`() async throws {
        try await here.meet(101...120)
        try FileManager.default.removeItem(atPath: here.clip)
        let runs = try (0..<2).map { _ in try sender() }
        for chat in Int64(101)...120 { runs[Int(chat) % 2].send(here.ready(chat: chat).line) }
        for run in runs { run.closeInput() }
        for run in runs { #expect(try await run.result().status == 0) }
        for chat in Int64(101)...120 {
            #expect(try await here.telegram.answers(in: chat).map { $0.text?.hasPrefix("❌") } == [true])
        }
    }

    @Test func `A redelivered event is not sent again`() async throws {
        try await here.meet(101...101)
        let events = [here.ready(chat: 101), here.event("commands.telegram.send", ["text": "once"], chat: 101)]
        try await here.push(events)
        let first = try sender(queues)
        #expect(try await eventually { try here.queued("sent").count == 2 })
        first.signal(SIGTERM)
        #expect(try await first.result().status == 0)
        // This simulates a crash between Telegram's answer and the acknowledgement.
        try await here.push(events)
        let second = try sender(queues)
        #expect(try await eventually { try here.queued("sent").count == 4 })
        second.signal(SIGTERM)
        _ = try await second.result()
        #expect(try await here.telegram.answers(in: 101).count == 2)
        let sent = try here.queued("sent")
        #expect(Set(sent.map(\.id)).count == 2)
        #expect(sent.allSatisfy { $0.type == "events.telegram.sent" })
    }

    @Test func `A record counts for the bot that made it, and so does one of an earlier version`() async throws {
        try await here.meet(101...103)
        let events = (101...103).map { here.event("commands.telegram.send", ["text": "hello"], chat: $0) }
        func set(_ key: String, _ speaker: String) throws {
            try here.redis.cli("SET", key, #"{"left":[],"results":[]\#(speaker)}"#)
        }
        // The first was sent by an earlier version, the others by another bot that got the same events.
        try set("tgpipe:sent:\(events[0].id)", "")
        try set("tgpipe:sent:\(events[1].id)", #","speaker":999"#)
        try set("tgpipe:sent:999:\(events[2].id)", "")
        try await here.push(events)
        let run = try sender(queues)
        #expect(try await eventually { try here.queued("sent").count == 2 })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        var counts: [Int] = []
        for chat in Int64(101)...103 { counts.append(try await here.telegram.answers(in: chat).count) }
        #expect(counts == [0, 1, 1])
        // The former key holds the record for a while, for workers of the earlier version.
        for (key, seconds) in [
            ("tgpipe:sent:\(BotEmulator.botID):\(events[2].id)", 3600..<86_401),
            ("tgpipe:sent:\(events[2].id)", 1..<3601),
        ] {
            #expect(try here.redis.cli("GET", key).contains(#""left":[]"#))
            #expect(seconds.contains(Int(try here.redis.cli("TTL", key)) ?? 0))
        }
    }

    @Test func `Killing a worker leaves no message unsent`() async throws {
        try await here.meet(101...140)
        try await here.push(
            (101...140).map { here.event("commands.telegram.send", ["text": .string("hello \($0)")], chat: $0) })
        for _ in 0..<4 {
            let run = try sender(queues + ["--concurrency", "1"])
            let before = try await here.telegram.calls("sendMessage").count
            while try await here.telegram.calls("sendMessage").count < before + 5 {
                try await Task.sleep(for: .milliseconds(5))
            }
            run.signal(SIGKILL)
            _ = try await run.result()
        }
        let last = try sender(queues)
        #expect(try await eventually { try here.queued("sent").count >= 40 })
        last.signal(SIGTERM)
        #expect(try await last.result().status == 0)
        var doubles = 0
        for chat in Int64(101)...140 {
            let count = try await here.telegram.answers(in: chat).count
            #expect(count >= 1)
            doubles += count - 1
        }
        // Each kill may duplicate the one message whose answer had arrived and was not recorded.
        #expect(doubles <= 4)
        #expect(try here.queued("sent").count == 40)
    }

    @Test func `Transient failures return to the queue and the last one is reported in the chat`() async throws {
        try await here.meet(101...101)
        try await here.telegram.fault("sendVideo", "500", times: 3)
        try await here.push([here.ready(chat: 101)])
        let run = try sender(queues + ["--max-attempts", "3", "--backoff", "100ms"])
        #expect(try await eventually { try here.queued("sent").contains { $0.type == "events.telegram.failed" } })
        #expect(try await here.telegram.answers(in: 101).map { $0.text?.hasPrefix("❌") } == [true])
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        #expect(try await here.telegram.calls("sendVideo").count == 3)
    }

    @Test func `Only one of two processes makes the placeholder reply and neither makes it after the end`() async throws
    {
        try await here.meet(101...101)
        let correlation = EventID()
        let progress = { (state: JSON) in
            here.event("events.media.progress", ["kind": "video", "state": state], chat: 101, correlation: correlation)
        }
        let (one, two) = (try sender(), try sender())
        one.send(progress("accepted").line)
        two.send(progress("downloading").line)
        #expect(try await eventually { try here.hasReply(to: correlation) })
        two.send(here.ready(chat: 101, correlation: correlation).line)
        two.closeInput()
        #expect(try await two.result().status == 0)
        one.send(progress("storing").line)
        one.closeInput()
        #expect(try await one.result().status == 0)
        let answers = try await here.telegram.answers(in: 101)
        #expect(answers.count == 1 && answers.first?.message["video"] != nil)
        #expect(try await here.telegram.calls("sendMessage").count == 1)
    }

    @Test func `A flood wait of one process holds the others too`() async throws {
        try await here.meet(101...101)
        try await here.telegram.fault("sendMessage", "429", ["retry_after": 3])
        let say = { (text: JSON) in here.event("commands.telegram.send", ["text": text], chat: 101) }
        try await here.push([say("one")])
        let first = try sender(queues)
        #expect(try await eventually { first.log.contains("requires a wait") })
        first.signal(SIGSTOP)
        try await here.push([say("two")])
        let second = try sender(queues)
        #expect(try await eventually { try here.queued("sent").count == 2 })
        first.signal(SIGKILL)
        second.signal(SIGTERM)
        #expect(try await second.result().status == 0)
        let starts = try await here.telegram.calls("sendMessage").compactMap { $0["started_at"]?.double }
        #expect(starts.count == 3)
        #expect(starts.dropFirst().allSatisfy { $0 - starts[0] >= 3 })
    }

    @Test func `A message of another process is not taken for a lost one`() async throws {
        try await here.meet(101...101)
        let say = { (text: JSON) in here.event("commands.telegram.send", ["text": text], chat: 101).line }
        let (one, two) = (try sender(), try sender())
        one.send(say("first"))
        #expect(try await eventuallyAsync { try await here.telegram.answers(in: 101).count == 1 })
        try await here.telegram.fault("sendMessage", "drop")
        one.send(say("lost"))
        #expect(try await eventually { one.log.contains("finding out whether sendMessage was carried out") })
        // The other process sends nothing later that could take its note along.
        two.send(say("from the other process"))
        one.closeInput()
        let result = try await one.result()
        #expect(result.status == 0, "\(result.errors)")
        let texts = try await here.telegram.answers(in: 101).compactMap(\.text)
        #expect(texts.sorted() == ["first", "from the other process", "lost"], "\(result.errors)")
        two.closeInput()
        #expect(try await two.result().status == 0)
    }

    @Test func `Repeated progress does not edit the reply again`() async throws {
        try await here.meet(101...101)
        let correlation = EventID()
        let waiting = here.event(
            "events.media.progress", ["kind": "video", "state": "waiting"], chat: 101, correlation: correlation)
        let run = try sender(["--progress-interval", "10ms"])
        run.send(waiting.line)
        #expect(try await eventually { try here.hasReply(to: correlation) })
        for _ in 0..<3 {
            run.send(waiting.line)
            try await Task.sleep(for: .milliseconds(50))
        }
        run.closeInput()
        #expect(try await run.result().status == 0)
        #expect(try await here.telegram.calls("sendMessage").count == 1)
        #expect(try await here.telegram.calls("editMessageText").isEmpty)
    }
}

import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests that several processes which send from one queue keep the order of each chat.
@Suite(.timeLimit(.minutes(5))) struct OrderedSendTests {
    private let here: SendFixture
    private let queues = ["--from", "queue:send", "--to", "queue:sent", "--no-pacing"]

    init() throws { here = try SendFixture(clipBytes: 1000) }

    private func sender(_ arguments: String...) throws -> ToolRun { try here.run("tg-send", queues + arguments) }

    private func say(_ text: String, in chat: Int64) -> Envelope {
        here.event("commands.telegram.send", ["text": .string(text)], chat: chat)
    }

    private func end(_ runs: ToolRun...) async throws {
        for run in runs { run.signal(SIGTERM) }
        for run in runs { #expect(try await run.result().status == 0) }
    }

    /// Returns the texts that the bot has sent or put into a message of a chat, in the order of the calls, each once: a message whose
    /// sender was killed may have been sent twice.
    private func texts(in chat: Int64) async throws -> [String] {
        var calls = try await here.telegram.calls("sendMessage") + here.telegram.calls("editMessageText")
        calls.removeAll { call in
            let value = call["params"]?["chat_id"]
            return call["status"]?.int != 200 || value?.int ?? value?.string.flatMap { Int64($0) } != chat
        }
        calls.sort { $0["started_at"]?.double ?? 0 < $1["started_at"]?.double ?? 0 }
        var seen: Set<String> = []
        return calls.compactMap { $0["params"]?["text"]?.string }.filter { seen.insert($0).inserted }
    }

    private func sentCount() throws -> Int { try here.queued("sent").count }

    @Test func `Three processes keep the order of each chat while they are killed and calls fail`() async throws {
        let (chats, count) = (Int64(101)...120, 12)
        try await here.meet(chats)
        let base = try sender()
        try await here.push(chats.map { say("base", in: $0) })
        #expect(try await eventually { try sentCount() == chats.count })
        try await end(base)
        var bases: [Int64: Int64] = [:]
        for chat in chats { bases[chat] = try await here.telegram.answers(in: chat).first?.message["message_id"]?.int }
        let events = (1...count).flatMap { number in
            chats.map { chat in
                // Edits keep their place among the messages.
                number % 4 == 0
                    ? here.event(
                        "commands.telegram.edit",
                        ["text": .string("\(number)"), "message_id": .integer(bases[chat] ?? 0)], chat: chat)
                    : say("\(number)", in: chat)
            }
        }
        for chat in [102, 107, 119] as [Int64] {
            try await here.telegram.fault("sendMessage", "500", times: 2, ["chat_id": .integer(chat)])
        }
        try await here.telegram.fault("editMessageText", "429", times: 2, ["retry_after": 1])
        try await here.push(events)
        let arguments = ["--lease", "1s", "--concurrency", "4", "--max-attempts", "50", "--backoff", "200ms"]
        for _ in 0..<5 {
            let runs = try (0..<3).map { _ in try here.run("tg-send", queues + arguments) }
            try await Task.sleep(for: .milliseconds(Int.random(in: 500...900)))
            for run in runs.shuffled().prefix(2) { run.signal(SIGKILL) }
            try await Task.sleep(for: .milliseconds(300))
            for run in runs { run.signal(SIGKILL) }
            for run in runs { _ = try await run.result() }
        }
        let start = ContinuousClock.now
        let last = try (0..<3).map { _ in try here.run("tg-send", queues + arguments) }
        #expect(try await eventually { try sentCount() >= chats.count * (count + 1) })
        // No event had to wait until it was looked at again without a reason.
        #expect(.now - start < .seconds(40))
        // All may have been sent before these had started, so that the signal may end them as it likes.
        for run in last { run.signal(SIGTERM) }
        for run in last { _ = try await run.result() }
        for chat in chats {
            #expect(try await texts(in: chat) == ["base"] + (1...count).map(String.init), "chat \(chat)")
        }
        #expect(try sentCount() == chats.count * (count + 1))
    }

    @Test func `A stopped process that wakes behind its lease sends nothing more`() async throws {
        try await here.meet(101...101)
        try await here.push((1...30).map { say("\($0)", in: 101) })
        let first = try sender("--lease", "1s")
        #expect(try await eventuallyAsync { try await texts(in: 101).count >= 3 })
        first.signal(SIGSTOP)
        let second = try sender("--lease", "1s")
        #expect(try await eventually { try sentCount() == 30 })
        let calls = try await here.telegram.calls("sendMessage").count
        first.signal(SIGCONT)
        #expect(try await eventually { first.log.contains("lost the lease") })
        try await here.push([say("31", in: 101)])
        #expect(try await eventually { try sentCount() == 31 })
        #expect(try await texts(in: 101) == (1...31).map(String.init))
        // It was stopped with one call, which may have been on its way.
        #expect(try await here.telegram.calls("sendMessage").count <= calls + 2)
        try await end(first, second)
    }

    @Test func `A message that is retried keeps its chat waiting, and a dead letter lets it go on`() async throws {
        try await here.meet(101...103)
        try await here.telegram.fault("sendMessage", "500", times: 1, ["chat_id": 101])
        try await here.telegram.fault("sendMessage", "500", times: 2, ["chat_id": 102])
        let runs = try (0..<3).map { _ in try sender("--max-attempts", "2", "--backoff", "2s") }
        let events = (1...10).flatMap { number in (101...103).map { say("\(number)", in: $0) } }
        try await here.push(events)
        #expect(try await eventually { try sentCount() == 30 })
        #expect(try await texts(in: 101) == (1...10).map(String.init))
        #expect(try await texts(in: 102) == (2...10).map(String.init))
        #expect(try await texts(in: 103) == (1...10).map(String.init))
        try await end(runs[0], runs[1], runs[2])
    }

    @Test func `A chat under a long flood wait neither fills a process nor holds up other chats`() async throws {
        try await here.meet(101...110)
        try await here.telegram.fault("sendMessage", "429", ["chat_id": 101, "retry_after": 3600])
        let run = try sender()
        try await here.push((1...600).map { say("\($0)", in: 101) })
        try await here.push((102...110).map { say("hello", in: $0) })
        #expect(try await eventually { try sentCount() == 9 })
        let stats = try await ToolRun.run(
            "ev-queue", ["stats", "send"], environment: ["TGPIPE_REDIS": here.redis.address])
        let group = try JSON(parsing: stats.lines[0])["groups"]?.array?.first
        #expect(try await here.telegram.calls("sendMessage").count == 10)
        #expect(
            group?["retrying"]?.int == 1 && group?["behind"]?.int == 599 && group?["working"]?.int == 0,
            "\(stats.output)")
        try await end(run)
    }

    @Test func `Media of a chat goes on while an edit of it waits an hour`() async throws {
        try await here.meet(101...101)
        try await here.telegram.fault("editMessageText", "429", ["chat_id": 101, "retry_after": 3600])
        let runs = try (0..<2).map { _ in try sender() }
        try await here.push([say("first", in: 101)])
        #expect(try await eventually { try sentCount() == 1 })
        let message = try await here.telegram.answers(in: 101).first?.message["message_id"]?.int ?? 0
        try await here.push([
            here.event(
                "commands.telegram.edit", ["text": "changed", "message_id": .integer(message)], chat: 101),
            say("second", in: 101),
        ])
        #expect(try await eventuallyAsync { try await here.telegram.calls("editMessageText").count == 1 })
        try await here.push([
            here.ready(chat: 101),
            here.event("commands.telegram.react", ["message_id": .integer(message), "emoji": "👍"], chat: 101),
        ])
        #expect(try await eventuallyAsync { try await here.telegram.calls("sendVideo").count == 1 })
        #expect(try await eventuallyAsync { try await here.telegram.calls("setMessageReaction").count == 1 })
        // The commands of the chat keep their order.
        #expect(try await texts(in: 101) == ["first"])
        try await end(runs[0], runs[1])
    }

    @Test func `Progress still gives way to newer progress and to the end of its request`() async throws {
        try await here.meet(101...101)
        let correlation = EventID()
        let progress = { (state: JSON) in
            here.event("events.media.progress", ["kind": "video", "state": state], chat: 101, correlation: correlation)
        }
        let runs = try (0..<2).map { _ in try sender("--progress-interval", "1h") }
        try await here.push([progress("accepted")])
        #expect(try await eventually { try here.hasReply(to: correlation) })
        try await here.push([progress("downloading"), progress("storing"), progress("uploading")])
        try await here.push([here.ready(chat: 101, correlation: correlation)])
        // The end does not wait for the next edit of the progress, which is due in an hour.
        #expect(try await eventuallyAsync { try await here.telegram.calls("sendVideo").count == 1 })
        try await end(runs[0], runs[1])
    }
}

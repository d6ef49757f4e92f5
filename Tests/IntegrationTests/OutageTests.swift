import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests what happens to requests while Telegram is away, and when its answers are lost.
@Suite(.serialized, .timeLimit(.minutes(5))) struct OutageTests {
    private let here: SendFixture
    private let chats = Int64(101)...160
    private let queues = ["--from", "queue:send", "--to", "queue:sent"]

    init() throws { here = try SendFixture(clipBytes: 50_000) }

    private func progress(chat: Int64, message: Int64, _ correlation: EventID) -> Envelope {
        here.event(
            "events.media.progress", ["kind": "video", "state": "accepted"], chat: chat, message: message,
            correlation: correlation)
    }

    private func count(in queue: String) throws -> Int {
        Int(try here.redis.cli("XLEN", "tgpipe:{queues}:\(queue)")) ?? 0
    }

    /// Returns all calls of the bot, in order.
    private func calls() async throws -> [JSON] {
        try await here.telegram.server.call("GET", "/control/log")["calls"]?.array ?? []
    }

    private func begin(_ kind: String, _ seconds: Double) async throws {
        if kind == "refuse" { return try await here.telegram.outage(seconds: seconds) }
        try await here.telegram.fault("*", kind, ["seconds": .number(seconds), "head": true])
    }

    @Test(arguments: [("refuse", 3.0), ("refuse", 10), ("502", 10), ("garbage", 5)])
    func `Sixty requests of a queue are each answered once although Telegram is away`(
        _ kind: String, _ seconds: Double
    ) async throws {
        let messages = try await here.meet(chats)
        let requests = chats.map { (chat: $0, message: messages[$0] ?? 1, correlation: EventID()) }
        let run = try here.run("tg-send", ["--no-pacing"] + queues)
        try await here.push(requests.map { progress(chat: $0.chat, message: $0.message, $0.correlation) })
        #expect(try await eventuallyAsync { try await here.telegram.calls("sendMessage").count == 60 })
        try await begin(kind, seconds)
        try await here.push(
            requests.map { here.ready(chat: $0.chat, message: $0.message, correlation: $0.correlation) })
        #expect(try await eventually { try count(in: "sent:stream") == 60 })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        for chat in chats {
            let answers = try await here.telegram.answers(in: chat)
            #expect(answers.count == 1 && answers.first?.message["video"] != nil, "\(chat): \(answers.map(\.text))")
        }
        #expect(try count(in: "send:dead") == 0)
        #expect(run.log.components(separatedBy: "is away").count == 2)
        #expect(run.log.components(separatedBy: "answers again").count == 2)
    }

    @Test func `Sixty requests of a pipe are each answered once although Telegram is away`() async throws {
        let messages = try await here.meet(chats)
        let run = try here.run("tg-send", ["--no-pacing", "--retries", "1"])
        try await here.telegram.outage(seconds: 5)
        for chat in chats { run.send(here.ready(chat: chat, message: messages[chat] ?? 1).line) }
        run.closeInput()
        #expect(try await run.result().status == 0)
        for chat in chats { #expect(try await here.telegram.answers(in: chat).count == 1) }
    }

    @Test func `The figures of a queue name the service that its workers wait for`() async throws {
        let messages = try await here.meet(101...101)
        try await here.telegram.outage(seconds: 8)
        try await here.push([here.ready(chat: 101, message: messages[101] ?? 1)])
        let run = try here.run("tg-send", queues)
        #expect(
            try await eventuallyAsync {
                let stats = try here.run("ev-queue", ["stats", "send"])
                return try await stats.result().output.contains(#""waiting_for":"Telegram""#)
            })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        // The event is in the queue again, with all of its attempts.
        let pending = try here.run("ev-queue", ["peek", "send", "--pending", "tg-send"])
        #expect(try await pending.result().output.contains(#""attempts":0"#))
    }

    @Test func `An event that is given up is a dead letter, and sent when it is redriven`() async throws {
        let messages = try await here.meet(101...101)
        try await here.telegram.fault("sendVideo", "500", times: 2)
        try await here.push([here.ready(chat: 101, message: messages[101] ?? 1)])
        let run = try here.run("tg-send", queues + ["--max-attempts", "2", "--backoff", "50ms"])
        #expect(try await eventually { try count(in: "send:dead") == 1 })
        #expect(try await here.telegram.answers(in: 101).map { $0.text?.hasPrefix("❌") } == [true])
        let redrive = try here.run("ev-queue", ["redrive", "send", "--all"])
        #expect(try await redrive.result().status == 0)
        #expect(
            try await eventuallyAsync {
                try await here.telegram.answers(in: 101).contains { $0.message["video"] != nil }
            })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
    }

    // MARK: Lost answers

    @Test(arguments: ["drop", "truncate", "garbage"], ["sendVideo", "sendMessage"])
    func `A message whose answer is lost is sent once, and no failure is shown`(
        _ kind: String, _ method: String
    ) async throws {
        let messages = try await here.meet(101...101)
        let (message, correlation) = (messages[101] ?? 1, EventID())
        try await here.telegram.fault(method, kind, ["after": true])
        let run = try here.run("tg-send", queues)
        try await here.push([progress(chat: 101, message: message, correlation)])
        #expect(try await eventually { try here.hasReply(to: correlation) })
        try await here.push([here.ready(chat: 101, message: message, correlation: correlation)])
        #expect(try await eventually { try count(in: "sent:stream") == 1 })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        let answers = try await here.telegram.answers(in: 101)
        #expect(answers.count == 1 && answers.first?.message["video"] != nil, "\(answers.map(\.text))")
        #expect(try await here.telegram.calls(method).count == 1)
    }

    @Test func `A call that was not carried out is repeated`() async throws {
        let messages = try await here.meet(101...101)
        try await here.telegram.fault("sendVideo", "drop")
        try await here.telegram.fault("sendMessage", "drop")
        let run = try here.run("tg-send", ["--no-pacing"])
        let correlation = EventID()
        run.send(progress(chat: 101, message: messages[101] ?? 1, correlation).line)
        #expect(try await eventually { try here.hasReply(to: correlation) })
        run.send(here.ready(chat: 101, message: messages[101] ?? 1, correlation: correlation).line)
        run.closeInput()
        #expect(try await run.result().status == 0)
        let answers = try await here.telegram.answers(in: 101)
        #expect(answers.count == 1 && answers.first?.message["video"] != nil)
    }

    @Test func `A cut list of updates does not end tg-listen`() async throws {
        _ = try await here.meet(101...101)
        try await here.telegram.fault("getUpdates", "truncate")
        let run = try here.run("tg-listen", ["--state", here.folder("offset")])
        _ = try await run.waitForLines { $0.count == 1 }
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
    }

    // MARK: Requests that an end of the bot interrupted

    @Test func `What was shown and never ended is ended at the next start`() async throws {
        let messages = try await here.meet(101...102)
        let killed = try here.run("tg-send", [])
        let requests = [101, 102].map { (chat: Int64($0), correlation: EventID()) }
        for request in requests {
            killed.send(progress(chat: request.chat, message: messages[request.chat] ?? 1, request.correlation).line)
        }
        #expect(
            try await eventually {
                try requests.allSatisfy { try here.hasReply(to: $0.correlation) }
            })
        // The second request has an end, and is not interrupted.
        killed.send(here.ready(chat: 102, message: messages[102] ?? 1, correlation: requests[1].correlation).line)
        #expect(try await eventuallyAsync { try await here.telegram.answers(in: 102).first?.message["video"] != nil })
        // Telegram has the answer a moment before the tool has noted it.
        #expect(try await eventually { try here.openRequests() == ["\(requests[0].correlation)"] })
        killed.signal(SIGKILL)
        _ = try await killed.result()
        let next = try here.run("tg-send", [])
        #expect(
            try await eventuallyAsync {
                try await here.telegram.answers(in: 101).map { $0.edits.last ?? "" }
                    == ["❌ The bot was interrupted before this was finished. Please ask again."]
            })
        next.closeInput()
        #expect(try await next.result().status == 0)
        #expect(try await here.telegram.answers(in: 102).count == 1)
    }

    // MARK: Pacing

    @Test func `A wait for all chats holds every call of the bot`() async throws {
        _ = try await here.meet(101...160)
        try await here.telegram.fault("sendMessage", "429", ["retry_after": 3, "seconds": 3])
        let run = try here.run("tg-send", ["--no-pacing"])
        for chat in chats {
            run.send(here.event("commands.telegram.send", ["text": "hello"], chat: chat, message: 1).line)
        }
        run.closeInput()
        #expect(try await run.result().status == 0)
        for chat in chats { #expect(try await here.telegram.answers(in: chat).count == 1) }
        // Only calls that were under way already are refused.
        #expect(try await here.telegram.calls("sendMessage").count { $0["status"] == 429 } <= 9)
    }

    @Test func `A wait that Telegram demands from the start is waited out`() async throws {
        let messages = try await here.meet(101...101)
        try await here.telegram.fault("*", "429", ["retry_after": 3, "seconds": 3])
        let run = try here.run("tg-send", ["--no-pacing"])
        run.send(progress(chat: 101, message: messages[101] ?? 1, EventID()).line)
        run.send(here.ready(chat: 101, message: messages[101] ?? 1).line)
        run.closeInput()
        #expect(try await run.result().status == 0)
        #expect(try await here.telegram.answers(in: 101).contains { $0.message["video"] != nil })
        let refused = try await calls().filter { $0["status"] == 429 }
        // One of each kind may be under way when the first is refused.
        #expect((1...3).contains(refused.count), "\(refused)")
    }

    @Test func `Telegram that answers the probe with a wait is not away, and is not asked again and again`()
        async throws
    {
        let messages = try await here.meet(101...101)
        try await here.telegram.fault("getMe", "429", ["retry_after": 5, "seconds": 60])
        try await here.telegram.fault("sendVideo", "502", times: 2)
        let run = try here.run("tg-send", ["--no-pacing"])
        run.send(here.ready(chat: 101, message: messages[101] ?? 1).line)
        run.closeInput()
        #expect(try await run.result().status == 0)
        #expect(try await here.telegram.answers(in: 101).map { $0.message["video"] != nil } == [true])
        #expect(try await here.telegram.calls("sendVideo").count == 3)
        #expect((1...2).contains(try await here.telegram.calls("getMe").count))
        #expect(!run.log.contains("is away"))
    }

    @Test func `Two processes of a bot keep its rate together`() async throws {
        _ = try await here.meet(101...160)
        try await here.telegram.server.call("POST", "/control/rates", ["enforce": true])
        let runs = try (0..<2).map { _ in try here.run("tg-send", []) }
        for chat in chats {
            runs[Int(chat) % 2].send(
                here.event("commands.telegram.send", ["text": "hello"], chat: chat, message: 1).line)
        }
        for run in runs { run.closeInput() }
        for run in runs { #expect(try await run.result().status == 0) }
        #expect(try await here.telegram.calls("sendMessage").count { $0["status"] == 429 } == 0)
    }

    // MARK: Refusals

    @Test func `Where a reaction is not allowed, a reply takes its place`() async throws {
        let messages = try await here.meet(101...101)
        try await here.telegram.fault("setMessageReaction", "400", ["description": "Bad Request: REACTION_INVALID"])
        let run = try here.run("tg-send", [])
        run.send(here.event("commands.telegram.react", ["emoji": "👍"], chat: 101, message: messages[101] ?? 1).line)
        run.closeInput()
        #expect(try await run.result().status == 0)
        #expect(try await here.telegram.answers(in: 101).map(\.text) == ["👍"])
    }
}

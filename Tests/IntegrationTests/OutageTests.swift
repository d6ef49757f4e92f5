import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests what happens to requests while Telegram is away, and when its answers are lost.
@Suite(.serialized, .timeLimit(.minutes(5))) struct OutageTests {
    private let telegram: BotEmulator
    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let chats = Int64(101)...160
    private let queues = ["--from", "queue:send", "--to", "queue:sent"]

    init() throws {
        telegram = try BotEmulator()
        redis = try RedisServer()
        folder = try TemporaryFolder()
        try Data(repeating: 7, count: 50_000).write(to: URL(fileURLWithPath: folder("clip.mp4")))
    }

    private func run(_ tool: String, _ arguments: [String]) throws -> ToolRun {
        try ToolRun(
            tool, arguments, environment: telegram.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 },
            folder: folder)
    }

    private func event(
        _ type: String, _ payload: JSONObject, chat: Int64, message: Int64, correlation: EventID = EventID()
    ) -> Envelope {
        Envelope(
            type: type, payload: payload,
            meta: [
                "origin": ["chat_id": .integer(chat), "message_id": .integer(message), "chat_type": "private"]
            ], correlationID: correlation)
    }

    private func progress(chat: Int64, message: Int64, _ correlation: EventID) -> Envelope {
        event(
            "events.media.progress", ["kind": "video", "state": "accepted"], chat: chat, message: message,
            correlation: correlation)
    }

    private func ready(chat: Int64, message: Int64, _ correlation: EventID = EventID()) -> Envelope {
        event(
            "events.dl.video.ready",
            [
                "kind": "video", "key": .string("video/\(String(repeating: "c", count: 64)).mp4"),
                "store": .string("file:\(folder("store"))"), "path": .string(folder("clip.mp4")),
                "size_bytes": 50_000, "content_type": "video/mp4", "file_name": "clip.mp4",
            ], chat: chat, message: message, correlation: correlation)
    }

    /// Lets each user write once, and returns the ids of the messages.
    private func meet(_ chats: ClosedRange<Int64>) async throws -> [Int64: Int64] {
        var ids: [Int64: Int64] = [:]
        for chat in chats { ids[chat] = try await telegram.say("x", as: BotEmulator.User(chat, "User")) }
        return ids
    }

    private func push(_ events: [Envelope]) async throws {
        let pusher = try run("blob-put", ["--to", "queue:send"])
        pusher.send(events.flatMap(\.line))
        pusher.closeInput()
        #expect(try await pusher.result().status == 0)
    }

    private func count(in queue: String) throws -> Int {
        Int(try redis.cli("XLEN", "tgpipe:{queues}:\(queue)")) ?? 0
    }

    private func begin(_ kind: String, _ seconds: Double) async throws {
        if kind == "refuse" { return try await telegram.outage(seconds: seconds) }
        try await telegram.fault("*", kind, ["seconds": .number(seconds), "head": true])
    }

    @Test(arguments: [("refuse", 3.0), ("refuse", 10), ("502", 10), ("garbage", 5)])
    func `Sixty requests of a queue are each answered once although Telegram is away`(
        _ kind: String, _ seconds: Double
    ) async throws {
        let messages = try await meet(chats)
        let requests = chats.map { (chat: $0, message: messages[$0] ?? 1, correlation: EventID()) }
        let run = try run("tg-send", ["--no-pacing"] + queues)
        try await push(requests.map { progress(chat: $0.chat, message: $0.message, $0.correlation) })
        #expect(try await eventuallyAsync { try await telegram.calls("sendMessage").count == 60 })
        try await begin(kind, seconds)
        try await push(requests.map { ready(chat: $0.chat, message: $0.message, $0.correlation) })
        #expect(try await eventually { try count(in: "sent:stream") == 60 })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        for chat in chats {
            let answers = try await telegram.answers(in: chat)
            #expect(answers.count == 1 && answers.first?.message["video"] != nil, "\(chat): \(answers.map(\.text))")
        }
        #expect(try count(in: "send:dead") == 0)
        #expect(run.log.components(separatedBy: "is away").count == 2)
        #expect(run.log.components(separatedBy: "answers again").count == 2)
    }

    @Test func `Sixty requests of a pipe are each answered once although Telegram is away`() async throws {
        let messages = try await meet(chats)
        let run = try run("tg-send", ["--no-pacing", "--retries", "1"])
        try await telegram.outage(seconds: 5)
        for chat in chats { run.send(ready(chat: chat, message: messages[chat] ?? 1).line) }
        run.closeInput()
        #expect(try await run.result().status == 0)
        for chat in chats { #expect(try await telegram.answers(in: chat).count == 1) }
    }

    @Test func `The figures of a queue name the service that its workers wait for`() async throws {
        let messages = try await meet(101...101)
        try await telegram.outage(seconds: 8)
        try await push([ready(chat: 101, message: messages[101] ?? 1)])
        let run = try run("tg-send", queues)
        #expect(
            try await eventuallyAsync {
                let stats = try self.run("ev-queue", ["stats", "send"])
                return try await stats.result().output.contains(#""waiting_for":"Telegram""#)
            })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        // The event is in the queue again, with all of its attempts.
        let pending = try self.run("ev-queue", ["peek", "send", "--pending", "tg-send"])
        #expect(try await pending.result().output.contains(#""attempts":0"#))
    }

    @Test func `An event that is given up is a dead letter, and sent when it is redriven`() async throws {
        let messages = try await meet(101...101)
        try await telegram.fault("sendVideo", "500", times: 2)
        try await push([ready(chat: 101, message: messages[101] ?? 1)])
        let run = try run("tg-send", queues + ["--max-attempts", "2", "--backoff", "50ms"])
        #expect(try await eventually { try count(in: "send:dead") == 1 })
        #expect(try await telegram.answers(in: 101).map { $0.text?.hasPrefix("❌") } == [true])
        let redrive = try self.run("ev-queue", ["redrive", "send", "--all"])
        #expect(try await redrive.result().status == 0)
        #expect(
            try await eventuallyAsync { try await telegram.answers(in: 101).contains { $0.message["video"] != nil } })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
    }

    // MARK: Lost answers

    @Test(arguments: ["drop", "truncate", "garbage"], ["sendVideo", "sendMessage"])
    func `A message whose answer is lost is sent once, and no failure is shown`(
        _ kind: String, _ method: String
    ) async throws {
        let messages = try await meet(101...101)
        let (message, correlation) = (messages[101] ?? 1, EventID())
        try await telegram.fault(method, kind, ["after": true])
        let run = try run("tg-send", queues)
        try await push([progress(chat: 101, message: message, correlation)])
        #expect(
            try await eventually {
                Int(try redis.cli("GET", "tgpipe:correlation:\(correlation):reply")) ?? 0 > 0
            })
        try await push([ready(chat: 101, message: message, correlation)])
        #expect(try await eventually { try count(in: "sent:stream") == 1 })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        let answers = try await telegram.answers(in: 101)
        #expect(answers.count == 1 && answers.first?.message["video"] != nil, "\(answers.map(\.text))")
        #expect(try await telegram.calls(method).count == 1)
    }

    @Test func `A call that was not carried out is repeated`() async throws {
        let messages = try await meet(101...101)
        try await telegram.fault("sendVideo", "drop")
        try await telegram.fault("sendMessage", "drop")
        let run = try run("tg-send", ["--no-pacing"])
        let correlation = EventID()
        run.send(progress(chat: 101, message: messages[101] ?? 1, correlation).line)
        #expect(
            try await eventually {
                Int(try redis.cli("GET", "tgpipe:correlation:\(correlation):reply")) ?? 0 > 0
            })
        run.send(ready(chat: 101, message: messages[101] ?? 1, correlation).line)
        run.closeInput()
        #expect(try await run.result().status == 0)
        let answers = try await telegram.answers(in: 101)
        #expect(answers.count == 1 && answers.first?.message["video"] != nil)
    }

    @Test func `A cut list of updates does not end tg-listen`() async throws {
        _ = try await meet(101...101)
        try await telegram.fault("getUpdates", "truncate")
        let run = try run("tg-listen", ["--state", folder("offset")])
        _ = try await run.waitForLines { $0.count == 1 }
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
    }

    // MARK: Requests that an end of the bot interrupted

    @Test func `What was shown and never ended is ended at the next start`() async throws {
        let messages = try await meet(101...102)
        let killed = try run("tg-send", [])
        let requests = [101, 102].map { (chat: Int64($0), correlation: EventID()) }
        for request in requests {
            killed.send(progress(chat: request.chat, message: messages[request.chat] ?? 1, request.correlation).line)
        }
        #expect(
            try await eventually {
                try requests.allSatisfy {
                    Int(try redis.cli("GET", "tgpipe:correlation:\($0.correlation):reply")) ?? 0 > 0
                }
            })
        // The second request has an end, and is not interrupted.
        killed.send(ready(chat: 102, message: messages[102] ?? 1, requests[1].correlation).line)
        #expect(try await eventuallyAsync { try await telegram.answers(in: 102).first?.message["video"] != nil })
        killed.signal(SIGKILL)
        _ = try await killed.result()
        let next = try run("tg-send", [])
        #expect(
            try await eventuallyAsync {
                try await telegram.answers(in: 101).map { $0.edits.last ?? "" }
                    == ["❌ The bot was interrupted before this was finished. Please ask again."]
            })
        next.closeInput()
        #expect(try await next.result().status == 0)
        #expect(try await telegram.answers(in: 102).count == 1)
    }

    // MARK: Pacing

    @Test func `A wait for all chats holds every call of the bot`() async throws {
        _ = try await meet(101...160)
        try await telegram.fault("sendMessage", "429", ["retry_after": 3, "seconds": 3])
        let run = try run("tg-send", ["--no-pacing"])
        for chat in chats {
            run.send(event("commands.telegram.send", ["text": "hello"], chat: chat, message: 1).line)
        }
        run.closeInput()
        #expect(try await run.result().status == 0)
        for chat in chats { #expect(try await telegram.answers(in: chat).count == 1) }
        // Only calls that were under way already are refused.
        #expect(try await telegram.calls("sendMessage").count { $0["status"] == 429 } <= 9)
    }

    @Test func `Two processes of a bot keep its rate together`() async throws {
        _ = try await meet(101...160)
        try await telegram.server.call("POST", "/control/rates", ["enforce": true])
        let runs = try (0..<2).map { _ in try run("tg-send", []) }
        for chat in chats {
            runs[Int(chat) % 2].send(event("commands.telegram.send", ["text": "hello"], chat: chat, message: 1).line)
        }
        for run in runs { run.closeInput() }
        for run in runs { #expect(try await run.result().status == 0) }
        #expect(try await telegram.calls("sendMessage").count { $0["status"] == 429 } == 0)
    }

    // MARK: Refusals

    @Test func `Where a reaction is not allowed, a reply takes its place`() async throws {
        let messages = try await meet(101...101)
        try await telegram.fault("setMessageReaction", "400", ["description": "Bad Request: REACTION_INVALID"])
        let run = try run("tg-send", [])
        run.send(event("commands.telegram.react", ["emoji": "👍"], chat: 101, message: messages[101] ?? 1).line)
        run.closeInput()
        #expect(try await run.result().status == 0)
        #expect(try await telegram.answers(in: 101).map(\.text) == ["👍"])
    }
}

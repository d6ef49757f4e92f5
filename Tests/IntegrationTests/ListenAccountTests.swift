import Envelope
import Foundation
import JSON
import Payloads
import TestSupport
import Testing

private let bob: JSON = ["id": 77, "first_name": "Bob", "username": "bobby"]
private let news: Int64 = -1_000_000_000_005

/// tg-listen as an account, against the emulator.
@Suite(.timeLimit(.minutes(5))) struct ListenAccountTests {
    private let alice: AccountFixture

    init() async throws { alice = try await AccountFixture() }

    private var arguments: [String] { ["--session", AccountFixture.name, "--state", alice.folder("listen.state")] }

    private func start(_ more: String...) throws -> ToolRun {
        try ToolRun("tg-listen", arguments + more, environment: alice.environment, folder: alice.folder)
    }

    private func listen(_ more: String...) async throws -> ToolRun.Result {
        try await ToolRun.run(
            "tg-listen", arguments + ["--once"] + more, environment: alice.environment, folder: alice.folder)
    }

    /// Runs the listener once, so that its position is stored and later messages count as missed.
    private func begin() async throws {
        let first = try await listen()
        #expect(first.status == 0 && first.lines.isEmpty, "\(first.errors.suffix(2000))")
    }

    private func writes(_ text: String, _ more: JSONObject = [:]) async throws {
        var order: JSONObject = ["chat_id": 77, "from": bob, "text": .string(text)]
        for member in more.members { order[member.key] = member.value }
        try await alice.control("message", order)
    }

    private func posts(_ text: String) async throws {
        try await alice.control(
            "message", ["chat_id": .integer(news), "chat_type": "channel", "title": "News", "text": .string(text)])
    }

    /// The texts of the messages that were written.
    private func texts(_ result: ToolRun.Result) throws -> [String] {
        try result.envelopes().filter { $0.type == TelegramUpdate.type }.map { $0.texts.first ?? "" }
    }

    /// The holes that were reported, without the reasons.
    private func holes(_ result: ToolRun.Result) throws -> [HistoryHole] {
        try result.envelopes().filter { $0.type == HistoryHole.type }.map { event in
            var hole = try HistoryHole(event)
            hole.reason = ""
            return hole
        }
    }

    @Test func `Updates from while the listener was down are emitted once`() async throws {
        try await writes("before")
        try await posts("before")
        try await begin()
        try await writes("hello")
        try await posts("post")
        let result = try await listen()
        let events = try result.envelopes()
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
        #expect(events.map { $0.payload["update_id"]?.int } == [1, 2])
        #expect(
            events.map { $0.payload["message"]?["text"] ?? $0.payload["channel_post"]?["text"] } == ["hello", "post"])
        #expect(events.allSatisfy { $0.type == "events.telegram.raw" && $0.id.version == 7 })
        #expect(events.allSatisfy { $0.meta["account"]?["id"] == .integer(MTProtoEmulator.alice) })
        #expect(events.allSatisfy { $0.meta["account"]?["username"] == "alice" })
        #expect(Set(events.map(\.correlationID)).count == 2)
        #expect(events[0].payload["message"]?["from"]?["username"] == "bobby")
        #expect(try await listen().lines.isEmpty)
        #expect(try await alice.violations() == [])
    }

    @Test func `Live updates are emitted in order although some are lost or reordered`() async throws {
        try await begin()
        let run = try start()
        #expect(try await eventually { run.log.contains("listening") })
        try await writes("0")
        _ = try await run.waitForLines { $0.count == 1 }
        try await alice.habits(["drop_updates": 3])
        for number in 1...5 { try await writes("\(number)") }
        _ = try await run.waitForLines { $0.count == 6 }
        try await alice.habits(["reorder_updates": true])
        for number in 6...9 { try await writes("\(number)") }
        try await posts("10")
        try await posts("11")
        _ = try await run.waitForLines { $0.count == 12 }
        run.signal(SIGTERM)
        let result = try await run.result()
        #expect(result.status == 0)
        #expect(try texts(result) == (0...11).map { "\($0)" })
        #expect(try await alice.violations() == [])
    }

    @Test func `No difference is requested while no update is missing`() async throws {
        try await begin()
        let run = try start()
        #expect(try await eventually { run.log.contains("listening") })
        for number in 1...3 {
            try await writes("\(number)")
            _ = try await run.waitForLines { $0.count == number }
        }
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        // Once by the first listener, and once by the second.
        #expect(try await alice.emulator.calls("updates.getDifference").count <= 4)
    }

    @Test(arguments: [77, news]) func `Deletions by the account's other clients leave no gap`(_ chat: Int64)
        async throws
    {
        try await begin()
        let owner = try ToolRun(
            "tg-session", ["run", AccountFixture.name], environment: alice.environment, folder: alice.folder)
        #expect(try await eventually { owner.log.contains("connected") })
        let run = try start("--allowed-updates", "message,channel_post,deleted_messages")
        #expect(try await eventually { run.log.contains("listening") })
        let say = { @Sendable [self] text in if chat == news { try await posts(text) } else { try await writes(text) } }
        try await say("one")
        let first = try await run.waitForLines { $0.count == 1 }
        let id = (try JSON(parsing: first[0]))["payload"]?[chat == news ? "channel_post" : "message"]?["message_id"]
        let asked = try await alice.emulator.calls("updates.getDifference").count
        let send = try await ToolRun.run(
            "tg-send", ["--session", AccountFixture.name, "--chat", "\(chat)", "--delete", id?.text ?? ""],
            environment: alice.environment, folder: alice.folder)
        #expect(send.status == 0, "\(send.errors)")
        try await say("two")
        let lines = try await run.waitForLines { $0.count == 3 }
        let deleted = try JSON(parsing: lines[1])["payload"]?["deleted_messages"]
        #expect(deleted?["message_ids"]?.array == [id].compactMap { $0 })
        #expect(try await alice.emulator.calls("updates.getDifference").count == asked)
        #expect(try await alice.emulator.calls("updates.getChannelDifference").count <= 1)
        for tool in [run, owner] {
            tool.signal(SIGTERM)
            #expect(try await tool.result().status == 0)
        }
    }

    @Test func `Gaps in channels are filled`() async throws {
        try await begin()
        let run = try start()
        #expect(try await eventually { run.log.contains("listening") })
        try await posts("0")
        _ = try await run.waitForLines { $0.count == 1 }
        try await alice.habits(["drop_updates": 4])
        for number in 1...6 { try await posts("\(number)") }
        _ = try await run.waitForLines { $0.count == 7 }
        run.signal(SIGTERM)
        #expect(try texts(try await run.result()) == (0...6).map { "\($0)" })
    }

    @Test func `Differences may come in slices or be too long`() async throws {
        try await begin()
        try await writes("0")
        #expect(try await listen().lines.count == 1)
        for number in 1...9 { try await writes("\(number)") }
        try await alice.habits(["difference_limit": 2])
        #expect(try texts(try await listen()) == (1...9).map { "\($0)" })
        for number in 10...15 { try await writes("\(number)") }
        try await alice.emulator.control("forget", ["what": "changes", "account": .integer(MTProtoEmulator.alice)])
        let result = try await listen()
        #expect(try texts(result) == (10...15).map { "\($0)" })
        #expect(result.errors.contains("no longer has all missed updates"))
        // Edits and deletions of the account's own chats may be missing.
        let lost = try #require(try holes(result).first)
        #expect(lost.ownerID == MTProtoEmulator.alice && lost.chatID == nil && lost.fromID == 1)
    }

    @Test func `Messages that a channel's difference omits are taken from its history`() async throws {
        try await begin()
        try await posts("0")
        #expect(try await listen().lines.count == 1)
        for number in 1...250 { try await posts("\(number)") }
        try await alice.habits(["channel_too_long": 1])
        #expect(try texts(try await listen()) == (1...250).map { "\($0)" })
        try await posts("251")
        try await alice.emulator.control(
            "forget", ["what": "changes", "account": .integer(MTProtoEmulator.alice), "chat_id": .integer(news)])
        let last = try await listen()
        #expect(try texts(last) == ["251"], "\(last.errors)")
        let lost = try #require(try holes(last).first)
        #expect(lost.ownerID == 0 && lost.chatID == news && lost.fromID == 1)
        #expect(try await alice.violations() == [])
    }

    @Test func `Edits, own messages and deletions are emitted`() async throws {
        try await begin()
        let run = try start("--allowed-updates", "message,edited_message,deleted_messages", "--raw-tl")
        #expect(try await eventually { run.log.contains("listening") })
        // One after the other: a difference does not tell of what is gone by then.
        try await writes("hello")
        _ = try await run.waitForLines { $0.count == 1 }
        let own: JSON = ["id": .integer(MTProtoEmulator.alice), "first_name": "Alice"]
        try await writes("mine", ["from": own])
        try await alice.control("edit", ["chat_id": 77, "message_id": 1, "text": "hallo"])
        _ = try await run.waitForLines { $0.count == 3 }
        try await alice.control("mtproto/delete", ["chat_id": 77, "message_ids": [1]])
        _ = try await run.waitForLines { $0.count == 4 }
        run.signal(SIGTERM)
        let events = try await run.result().envelopes()
        #expect(
            events.map { $0.payload.members.map(\.key)[1] } == [
                "message", "message", "edited_message", "deleted_messages",
            ])
        #expect(events.map { $0.meta["outgoing"] } == [nil, true, nil, nil])
        #expect(events[1].payload["message"]?["from"]?["id"] == .integer(MTProtoEmulator.alice))
        #expect(events[1].payload["message"]?["chat"]?["id"] == 77)
        #expect(events[2].payload["edited_message"]?["text"] == "hallo")
        #expect(events[3].payload["deleted_messages"]?["message_ids"] == [1])
        #expect(events[0].payload["tl"]?["_"] == "updateNewMessage")
    }

    @Test func `A broken connection and updatesTooLong lose no update`() async throws {
        try await begin()
        let run = try start()
        #expect(try await eventually { run.log.contains("listening") })
        try await writes("0")
        _ = try await run.waitForLines { $0.count == 1 }
        try await alice.control("mtproto/drop")
        try await writes("1")
        _ = try await run.waitForLines { $0.count == 2 }
        try await alice.habits(["drop_updates": 1])
        try await writes("2")
        try await alice.control("mtproto/too_long")
        _ = try await run.waitForLines { $0.count == 3 }
        run.signal(SIGTERM)
        #expect(try texts(try await run.result()) == ["0", "1", "2"])
    }

    @Test func `A flood wait is reported and observed`() async throws {
        try await begin()
        try await writes("0")
        try await alice.emulator.control(
            "fault", ["method": "updates.getDifference", "kind": "flood", "seconds": 2, "times": 1])
        let events = try await listen().envelopes()
        #expect(events.map(\.type) == ["events.telegram.waiting", "events.telegram.raw"])
        #expect(events.first?.payload["method"] == "updates.getDifference")
    }

    @Test func `A bot logged in through MTProto receives updates, also in channels`() async throws {
        try await alice.logIn(as: "robot", account: BotEmulator.botID)
        let listen = { [alice] () async throws in
            try await ToolRun.run(
                "tg-listen", ["--session", "robot", "--state", alice.folder("robot.state"), "--once"],
                environment: alice.environment, folder: alice.folder)
        }
        #expect(try await listen().status == 0)
        let own: JSON = ["id": .integer(MTProtoEmulator.alice), "first_name": "Alice"]
        try await alice.control(
            "message", ["chat_id": .integer(BotEmulator.botID), "from": own, "text": "hello, robot"])
        let result = try await listen()
        #expect(try texts(result) == ["hello, robot"], "\(result.errors.suffix(2000))")
        #expect(try result.envelopes().first?.payload["message"]?["chat"]?["id"] == .integer(MTProtoEmulator.alice))
        let run = try ToolRun(
            "tg-listen", ["--session", "robot", "--state", alice.folder("robot.state")],
            environment: alice.environment, folder: alice.folder)
        #expect(try await eventually { run.log.contains("listening") })
        for text in ["1", "2"] {
            try await alice.emulator.server.call(
                "POST", "/control/message",
                .object([
                    "account": .integer(BotEmulator.botID), "chat_id": .integer(news), "chat_type": "channel",
                    "title": "News", "text": .string(text),
                ]))
        }
        _ = try await run.waitForLines { $0.count == 2 }
        run.signal(SIGTERM)
        #expect(try texts(try await run.result()) == ["1", "2"])
        #expect(try await alice.violations() == [])
    }

    @Test func `A revoked session ends the listener with exit status 77`() async throws {
        try await begin()
        try await alice.control("mtproto/revoke")
        let result = try await listen()
        #expect(result.status == 77)
        #expect(result.errors.contains("was ended"))
    }

    @Test func `A state file that is damaged or of another account is refused`() async throws {
        try await begin()
        let path = alice.folder("listen.state")
        let state = try String(contentsOfFile: path, encoding: .utf8)
        for text in [state.replacingOccurrences(of: "\"account_id\":42", with: "\"account_id\":43"), "x\n", ""] {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            let result = try await listen()
            #expect(result.status == 78, "\(result.errors)")
        }
    }
}

extension Envelope {
    /// The texts of the message that it holds.
    fileprivate var texts: [String] {
        payload.members.compactMap { ($0.value["text"] ?? $0.value["caption"])?.string }
    }
}

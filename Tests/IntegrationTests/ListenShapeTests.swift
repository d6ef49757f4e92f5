import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// The same message, as a bot receives it from the Bot API and as the account that wrote it sees it.
@Suite(.timeLimit(.minutes(3))) struct ListenShapeTests {
    private let alice: AccountFixture
    private let own: JSON = ["id": .integer(MTProtoEmulator.alice), "first_name": "Alice", "username": "alice"]

    init() async throws {
        alice = try await AccountFixture()
        _ = try await asAccount()
    }

    private func asAccount() async throws -> [JSON] {
        let arguments = ["--session", AccountFixture.name, "--once", "--state", alice.folder("account.state")]
        return try await messages(arguments, alice.environment)
    }

    private func asBot() async throws -> [JSON] {
        let environment = ["TG_BOT_TOKEN": BotEmulator.token, "TG_BOT_API_URL": alice.emulator.server.url]
        return try await messages(["--bot", "--once", "--state", alice.folder("bot.state")], environment)
    }

    private func messages(_ arguments: [String], _ environment: [String: String]) async throws -> [JSON] {
        let result = try await ToolRun.run(
            "tg-listen", arguments, environment: environment, folder: alice.folder)
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
        // After update_id, the update comes first; an account's counters and positions follow it.
        return try result.envelopes().map { try #require($0.payload.members.dropFirst().first).value }
    }

    /// Removes what must differ: message numbers, the chat, and file names differ between the two sides.
    private func comparable(_ json: JSON) -> JSON {
        switch json {
        case .object(let object):
            let kept = object.members.filter { !["message_id", "chat", "file_id", "file_unique_id"].contains($0.key) }
            let members = kept.sorted { $0.key < $1.key }.map {
                JSONObject.Member(key: $0.key, value: comparable($0.value))
            }
            return .object(JSONObject(members))
        case .array(let items): return .array(items.map(comparable))
        default: return json
        }
    }

    private func expectAgreement(_ path: String, _ orders: JSONObject...) async throws {
        for order in orders {
            var order = order
            order["chat_id"] = .integer(BotEmulator.botID)
            order["from"] = own
            try await alice.control(path, order)
        }
        let (seen, received) = (try await asAccount(), try await asBot())
        #expect(seen.count == orders.count && received.count == orders.count)
        for (one, other) in zip(seen, received) {
            #expect(comparable(one) == comparable(other), "\(one.text)\n\(other.text)")
            #expect(one["chat"]?["id"] == .integer(BotEmulator.botID) && one["chat"]?["type"] == "private")
        }
    }

    @Test func `Texts, formatting and replies equal the Bot API's`() async throws {
        let entities: JSON = [
            ["type": "bold", "offset": 0, "length": 2],
            ["type": "text_link", "offset": 3, "length": 4, "url": "https://example.com/"],
            ["type": "pre", "offset": 8, "length": 4, "language": "swift"],
        ]
        try await expectAgreement(
            "message", ["text": "plain"],
            ["text": "😀 link code https://example.com/a #tag @alice", "entities": entities],
            ["text": "an answer", "reply_to": 1])
    }

    @Test func `Edited messages equal the Bot API's`() async throws {
        try await expectAgreement("message", ["text": "first"])
        try await alice.control(
            "edit", ["chat_id": .integer(BotEmulator.botID), "message_id": 1, "text": "second"])
        let (seen, received) = (try await asAccount(), try await asBot())
        #expect(seen.map(comparable) == received.map(comparable))
        #expect(seen.map { $0["text"] } == ["second"] && seen.allSatisfy { $0["edit_date"] != nil })
    }

    /// Bots and accounts see groups through different messages, so the same happens in both.
    @Test func `Groups, topics and channels equal the Bot API's`() async throws {
        let bob: JSON = ["id": 77, "first_name": "Bob", "last_name": "Roe", "username": "bobby"]
        let orders: [JSONObject] = [
            ["chat_id": -300, "chat_type": "group", "title": "Team", "from": bob, "text": "one"],
            ["chat_id": -300, "from": bob, "text": "two", "reply_to": 1],
            [
                "chat_id": -1_000_000_000_301, "chat_type": "supergroup", "title": "Forum", "chat_username": "forum",
                "from": bob, "text": "three", "thread_id": 5,
            ], ["chat_id": -1_000_000_000_301, "from": bob, "text": "four", "thread_id": 5, "reply_to": 1],
            ["chat_id": -1_000_000_000_302, "chat_type": "channel", "title": "News", "text": "five"],
        ]
        // Otherwise a message that was made in two chats could have two dates.
        let date = JSON.integer(Timestamp.now.microseconds / 1_000_000)
        for var order in orders {
            order["date"] = date
            try await alice.control("message", order)
            try await alice.emulator.server.call("POST", "/control/message", .object(order))
        }
        // The order of chats is nobody's promise.
        let seen = try await asAccount().sorted { $0["text"]?.string ?? "" < $1["text"]?.string ?? "" }
        let received = try await asBot().sorted { $0["text"]?.string ?? "" < $1["text"]?.string ?? "" }
        #expect(seen.count == orders.count && received.count == orders.count)
        for (one, other) in zip(seen, received) {
            #expect(comparable(one) == comparable(other), "\(one.text)\n\(other.text)")
            #expect(one["chat"].map(comparable) == other["chat"].map(comparable), "\(one.text)\n\(other.text)")
            #expect(one["chat"]?["id"] == other["chat"]?["id"] && one["message_id"] == other["message_id"])
        }
    }

    @Test(arguments: ["video", "animation", "audio", "voice", "photo", "document"])
    func `Files equal the Bot API's`(_ kind: String) async throws {
        let path = alice.folder("file")
        try Data(repeating: 7, count: 5000).write(to: URL(fileURLWithPath: path))
        var order: JSONObject = ["path": .string(path), "kind": .string(kind), "caption": "**x** #tag"]
        if ["video", "animation", "photo"].contains(kind) { (order["width"], order["height"]) = (320, 180) }
        if ["video", "animation", "audio", "voice"].contains(kind) { order["duration"] = 12 }
        if kind == "audio" { (order["title"], order["performer"]) = ("Song", "Band") }
        if kind != "photo" { order["file_name"] = .string("a name.\(kind)") }
        try await expectAgreement("file", order, ["path": .string(path), "kind": .string(kind)])
    }

    @Test func `A reply to an old message includes it after one request`() async throws {
        for number in 1...3 { try await alice.control("message", order("old \(number)")) }
        _ = try await asAccount()
        var answer = order("answer")
        answer["reply_to"] = 1
        try await alice.control("message", answer)
        try await alice.control("message", answer)
        let before = try await alice.emulator.calls("messages.getMessages").count
        let seen = try await asAccount()
        #expect(seen.map { $0["reply_to_message"]?["text"] } == ["old 1", "old 1"])
        #expect(try await alice.emulator.calls("messages.getMessages").count == before + 1)
    }

    private func order(_ text: String) -> JSONObject {
        ["chat_id": 77, "from": ["id": 77, "first_name": "Bob"], "text": .string(text)]
    }

    @Test func `Chat events equal the Bot API's`() async throws {
        let group: JSONObject = [
            "chat_id": -300, "chat_type": "group", "title": "Team", "from": ["id": 77, "first_name": "Bob"],
        ]
        let actions: [JSON] = [
            ["_": "messageActionChatEditTitle", "title": "Crew"], ["_": "messageActionChatAddUser", "users": [77]],
            ["_": "messageActionChatDeleteUser", "user_id": 77], ["_": "messageActionChatMigrateTo", "channel_id": 5],
        ]
        for action in actions {
            var order = group
            order["action"] = action
            try await alice.control("mtproto/service", order)
        }
        let seen = try await asAccount()
        #expect(seen.map { $0["new_chat_title"] } == ["Crew", nil, nil, nil])
        #expect(seen[1]["new_chat_members"]?.array?.first?["first_name"] == "Bob")
        #expect(seen[2]["left_chat_member"]?["id"] == 77)
        #expect(seen[3]["migrate_to_chat_id"] == -1_000_000_000_005)
        #expect(seen.allSatisfy { $0["chat"]?["type"] == "group" && $0["from"]?["id"] == 77 })
    }
}

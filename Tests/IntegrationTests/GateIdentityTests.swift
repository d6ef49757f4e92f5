import Envelope
import Foundation
import JSON
import Redis
import TestSupport
import Testing

/// Tests in whose name updates count: for the access rules, and for limits.
@Suite(.timeLimit(.minutes(3))) struct GateIdentityTests {
    private static let channelBot: JSON = ["id": 136_817_688, "is_bot": true, "first_name": "Channel"]
    private static let anonymousAdmin: JSON = ["id": 1_087_968_824, "is_bot": true, "first_name": "Group"]
    private let redis: RedisServer

    init() throws { redis = try RedisServer() }

    private func run(_ tool: String, _ arguments: [String], _ input: [String]) async throws -> ToolRun.Result {
        try await ToolRun.run(
            tool, arguments, input: input.map { $0 + "\n" }.joined(), environment: ["TGPIPE_REDIS": redis.address])
    }

    private func gate(_ input: [String]) async throws -> ToolRun.Result {
        try await run("tg-gate", ["--admin", "42"], input)
    }

    private func types(_ result: ToolRun.Result) throws -> [String] { try result.envelopes().map(\.type) }

    /// Makes the event of a message in the group -5.
    private func raw(_ text: String, _ members: JSONObject, kind: String = "message") -> String {
        var message: JSONObject = [
            "message_id": 7, "date": 1_700_000_000, "chat": ["id": -5, "type": "supergroup", "title": "Team"],
            "text": .string(text),
        ]
        for member in members.members { message[member.key] = member.value }
        return Envelope(
            type: "events.telegram.raw",
            payload: JSONObject([.init(key: "update_id", value: 1), .init(key: kind, value: .object(message))])
        ).json.text
    }

    private func user(_ id: Int64, isBot: Bool = false) -> JSONObject {
        ["from": ["id": .integer(id), "first_name": "U", "is_bot": .bool(isBot)]]
    }

    private func channel(_ id: Int64, from: JSON? = channelBot) -> JSONObject {
        ["from": from, "sender_chat": ["id": .integer(id), "type": "channel", "title": "C"]]
    }

    private let command = ".vdl https://a.example/"

    @Test func `A banned user who writes in a channel's name stays banned`() async throws {
        let asChannel = raw(command, channel(-100, from: ["id": 9, "first_name": "U", "is_bot": false]))
        let result = try await gate([
            raw(".grace", user(42)), asChannel, raw(".hammer 9", user(42)), asChannel, raw(command, user(9)),
        ])
        #expect(try types(result).filter { $0.hasPrefix("commands.media") }.count == 1)
        let actor = try result.envelopes().first { $0.type.hasPrefix("commands.media") }?.meta["actor"]
        #expect(actor?["id"] == 9)
    }

    @Test(arguments: [-100, 136_817_688] as [Int64])
    func `A ban holds for the channel and for all who write in a channel's name`(_ banned: Int64) async throws {
        _ = try redis.cli("SET", "tgpipe:{access}:hammer:\(banned)", "{}")
        let result = try await gate([raw(".grace", user(42)), raw(command, channel(-100))])
        #expect(try types(result) == ["commands.telegram.react"])
    }

    @Test func `An anonymous administrator is the group, and never an admin of the bot by the stand-in's id`()
        async throws
    {
        let anonymous: JSONObject = [
            "from": Self.anonymousAdmin, "sender_chat": ["id": -5, "type": "supergroup", "title": "Team"],
        ]
        let result = try await run(
            "tg-gate", ["--admin", "42", "--admin", "1087968824"],
            [
                raw(command, anonymous), raw(".whoami", anonymous), raw(".grace", user(42)), raw(command, anonymous),
                raw(command, ["from": Self.anonymousAdmin]),
                raw(command, ["from": ["id": 777_000, "first_name": "Telegram"]]),
            ])
        let events = try result.envelopes()
        #expect(
            events.map(\.type) == [
                "commands.telegram.reply", "commands.telegram.react", "commands.media.video_download",
            ])
        #expect(events[0].payload["text"]?.string?.hasPrefix("Team (-5): not let in yet") == true)
        #expect(events[2].meta["actor"]?["id"] == -5)
    }

    @Test(arguments: ["1087968824", "136817688", "777000"])
    func `An id that stands for many people gets no rule`(_ id: String) async throws {
        let result = try await gate([raw(".bless \(id)", user(42))])
        #expect(try types(result) == ["commands.telegram.reply"])
        #expect(try redis.cli("EXISTS", "tgpipe:{access}:bless:\(id)") == "0")
    }

    @Test func `A graced chat does not allow bots, which could obey each other for ever`() async throws {
        let result = try await gate([
            raw(".grace", user(42)), raw(command, user(9, isBot: true)), raw(".bless 9", user(42)),
            raw(command, user(9, isBot: true)),
        ])
        #expect(
            try types(result) == [
                "commands.telegram.react", "commands.telegram.react", "commands.media.video_download",
            ])
    }

    @Test(arguments: ["message", "channel_post"])
    func `A limit counts who writes in a chat's name by the chat`(_ kind: String) async throws {
        var sender = channel(-100, from: kind == "message" ? Self.channelBot : nil)
        if kind == "channel_post" { sender = ["chat": ["id": -100, "type": "channel", "title": "C"]] }
        let other = channel(-200)
        let events = (1...50).map { raw("\($0)", sender, kind: kind) } + [raw("other", other)]
        let result = try await run("ratelimit", ["-n", "5", "--on-limit", "drop"], events)
        #expect(result.lines.count == 6)
    }

    @Test func `A limit counts a person who writes in several channels' names once`() async throws {
        let person: JSON = ["id": 9, "first_name": "U", "is_bot": false]
        let events = (1...50).map { raw("x", channel(Int64(-100 - $0), from: person)) }
        #expect(try await run("ratelimit", ["-n", "5", "--on-limit", "drop"], events).lines.count == 5)
    }

    @Test func `A program's message is no command, whoever the account is`() async throws {
        var event = try Envelope(JSON(parsing: Array(raw(command, user(42)).utf8)))
        event.meta["outgoing"] = true
        let byHand = event.json.text
        event.meta["sent_by_program"] = true
        #expect(try types(await gate([event.json.text, byHand])) == ["commands.media.video_download"])
        #expect(
            try types(await run("tg-gate", ["--admin", "42", "--pass-all"], [event.json.text])) == [
                "events.telegram.raw"
            ])
    }

    @Test func `A name that was not seen for a day means nobody`() async throws {
        _ = try await gate([raw("hi", ["from": ["id": 9, "first_name": "U", "is_bot": false, "username": "bob"]])])
        let left = Int(try redis.cli("TTL", "tgpipe:{access}:username:bob")) ?? 0
        #expect(left > 86_000 && left <= 86_400)
    }

    @Test func `An account looks a name up anew, whoever was seen with it, and tells who was meant`() async throws {
        let alice = try await AccountFixture()
        let bob: JSON = ["id": 77, "first_name": "Bob", "username": "bobby"]
        try await alice.control("message", ["chat_id": 77, "from": bob, "text": "hi"])
        let environment = alice.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 }
        var lines: [String] = []
        for line in [
            raw("hi", ["from": ["id": 9, "first_name": "Old", "is_bot": false, "username": "bobby"]]),
            raw(".bless @bobby", user(42)), raw(".bless @nobody_at_all", user(42)),
        ] {
            var event = try Envelope(JSON(parsing: Array(line.utf8)))
            event.meta["account"] = ["id": .integer(MTProtoEmulator.alice), "username": "alice"]
            lines.append(event.json.text + "\n")
        }
        let result = try await ToolRun.run(
            "tg-gate", ["--admin", "42"], input: lines.joined(), environment: environment, folder: alice.folder)
        let answers = try result.envelopes().filter { $0.type == "commands.telegram.reply" }
            .compactMap { $0.payload["text"]?.string }
        #expect(answers.count == 2, "\(result.errors)")
        #expect(answers.first?.contains("Bob") == true && answers.first?.contains("77") == true)
        #expect(try redis.cli("EXISTS", "tgpipe:{access}:bless:77", "tgpipe:{access}:bless:9") == "1")
        #expect(try redis.cli("EXISTS", "tgpipe:{access}:bless:9") == "0")
    }
}

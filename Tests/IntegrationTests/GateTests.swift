import Envelope
import Foundation
import JSON
import Redis
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct GateTests {
    private let redis: RedisServer

    init() throws { redis = try RedisServer() }

    private func gate(_ input: [String], _ arguments: [String] = []) async throws -> ToolRun.Result {
        try await ToolRun.run(
            "tg-gate", ["--admin", "42"] + arguments, input: input.map { $0 + "\n" }.joined(),
            environment: ["TGPIPE_REDIS": redis.address])
    }

    /// Makes a raw event with a message of `user` in `chat`.
    private func raw(
        _ text: String, user: Int64, name: String? = nil, chat: Int64? = nil, more: JSONObject = [:], id: Int64 = 7
    ) -> String {
        var message: JSONObject = [
            "message_id": .integer(id), "date": 1_700_000_000,
            "chat": ["id": .integer(chat ?? user), "type": .string(chat == nil ? "private" : "supergroup")],
            "from": .object([
                "id": .integer(user), "first_name": "U", "is_bot": false, "username": name.map { .string($0) },
            ]),
            "text": .string(text),
        ]
        for member in more.members { message[member.key] = member.value }
        let envelope = Envelope(
            type: "events.telegram.raw", payload: ["update_id": 1, "message": .object(message)],
            meta: ["received_at": .string(Timestamp.now.description)])
        return envelope.json.text
    }

    private func types(_ result: ToolRun.Result) throws -> [String] { try result.envelopes().map(\.type) }

    private func texts(_ result: ToolRun.Result) throws -> [String] {
        try result.envelopes().filter { $0.type == "commands.telegram.reply" }.compactMap { $0.payload["text"]?.string }
    }

    @Test func `An admin's command becomes a command event`() async throws {
        let result = try await gate([raw(".vdl https://example.org/v", user: 42, name: "ann")])
        let event = try #require(try result.envelopes().first)
        #expect(event.type == "commands.media.video_download")
        #expect(event.payload == ["url": "https://example.org/v"])
        #expect(event.meta["role"] == "admin")
        #expect(event.meta["actor"] == ["id": 42, "username": "ann", "name": "U"])
        #expect(event.meta["origin"] == ["chat_id": 42, "message_id": 7, "chat_type": "private"])
        #expect(event.causationID != nil && event.meta["received_at"] != nil)
    }

    @Test func `Messages from unauthorised users are dropped`() async throws {
        let result = try await gate([
            raw(".vdl https://example.org/v", user: 1), raw("hi", user: 1), raw(".bless 1", user: 1),
        ])
        #expect(result.status == 0)
        #expect(result.lines.isEmpty)
    }

    @Test func `A blessed user is allowed until unblessed`() async throws {
        let command = raw(".vdl https://example.org/v", user: 1, name: "Bob")
        let result = try await gate([
            raw("hi", user: 1, name: "Bob"), raw(".bless @bob 2d", user: 42), command, raw(".unbless @BOB", user: 42),
            command,
        ])
        #expect(
            try types(result) == [
                "commands.telegram.react", "commands.telegram.reply", "commands.media.video_download",
                "commands.telegram.react", "commands.telegram.reply",
            ])
        #expect(try result.envelopes()[2].meta["role"] == "blessed")
        // The admin is told who was meant, and can see that the command worked also where reactions are off.
        #expect(try texts(result).filter { $0.contains("user 1") }.count == 2)
        let reactions = try result.envelopes().filter { $0.type == "commands.telegram.react" }
        #expect(reactions.allSatisfy { $0.payload["text"]?.string?.contains("(last seen as user 1) is ") == true })
    }

    @Test func `A rule ends when its duration is over`() async throws {
        _ = try await gate([
            raw(".bless 1 1h30m", user: 42), raw(".bless 2", user: 42), raw(".grace", user: 42, chat: -5),
            raw(".hammer 3", user: 42),
        ])
        let hour: Int64 = 3600
        for (key, seconds) in [
            ("bless:1", hour * 3 / 2), ("bless:2", 30 * 24 * hour), ("grace:-5", -1), ("hammer:3", hour),
        ] {
            let left = Int64(try redis.cli("TTL", "tgpipe:{access}:\(key)")) ?? 0
            #expect((seconds - 60...seconds).contains(left), "\(key)")
        }
        try redis.cli("PEXPIRE", "tgpipe:{access}:bless:1", "1")
        #expect(try await eventually { try redis.cli("EXISTS", "tgpipe:{access}:bless:1") == "0" })
        #expect(try await gate([raw(".vdl https://example.org/v", user: 1)]).lines.isEmpty)
    }

    @Test func `Graced chats are allowed and smitten chats are not`() async throws {
        let command = raw(".vdl https://example.org/v", user: 1, chat: -5)
        let result = try await gate([
            raw(".grace 30d", user: 42, chat: -5), command, raw(".smite", user: 42, chat: -5), command,
            raw(".grace", user: 42, chat: -5), command,
        ])
        let commands = try result.envelopes().filter { $0.type.hasPrefix("commands.media") }
        #expect(commands.map { $0.meta["role"] } == ["graced", "graced"])
    }

    @Test(
        arguments: [
            (-5, ["migrate_to_chat_id": -1_000_000_000_005]), (-1_000_000_000_005, ["migrate_from_chat_id": -5]),
        ] as [(Int64, JSONObject)])
    func `A group's rules follow it when it becomes a supergroup`(_ chat: Int64, _ told: JSONObject) async throws {
        let command = raw(".vdl https://example.org/v", user: 1, chat: -1_000_000_000_005)
        let result = try await gate([
            raw(".grace 30d", user: 42, chat: -5), command, raw("", user: 1087, chat: chat, more: told), command,
        ])
        let commands = try result.envelopes().filter { $0.type.hasPrefix("commands.media") }
        #expect(commands.map { $0.meta["role"] } == ["graced"])
        let left = Int64(try redis.cli("TTL", "tgpipe:{access}:grace:-1000000000005")) ?? 0
        #expect((30 * 86_400 - 60...30 * 86_400).contains(left))
    }

    @Test func `A hammered user is refused even when blessed`() async throws {
        let command = raw(".vdl https://example.org/v", user: 1)
        let result = try await gate([
            raw(".bless 1", user: 42), raw(".hammer 1 1h", user: 42), command, raw(".unhammer 1", user: 42), command,
        ])
        #expect(try types(result).filter { $0.hasPrefix("commands.media") }.count == 1)
    }

    @Test func `A rule can be given by reply`() async throws {
        let reply: JSONObject = [
            "reply_to_message": [
                "message_id": 3, "chat": ["id": -5, "type": "supergroup"], "from": ["id": 9, "first_name": "N"],
                "text": "x",
            ]
        ]
        _ = try await gate([raw(".bless 1d", user: 42, chat: -5, more: reply)])
        #expect(try redis.cli("EXISTS", "tgpipe:{access}:bless:9") == "1")
    }

    @Test func `A user without a user name can be mentioned by entity`() async throws {
        let mention: JSONObject = [
            "entities": [["type": "text_mention", "offset": 8, "length": 7, "user": ["id": 9, "first_name": "No"]]]
        ]
        _ = try await gate([raw(".hammer No Name 2h", user: 42, more: mention)])
        #expect(try redis.cli("EXISTS", "tgpipe:{access}:hammer:9") == "1")
    }

    @Test(arguments: [
        ".bless", ".bless @x nonsense", ".bless 1 2d more", ".bless @", ".grace 30x", ".smite now", ".hammer 0",
        ".unbless", ".bless -5",
    ])
    func `A malformed rule command is answered with its usage`(_ text: String) async throws {
        let result = try await gate([raw(text, user: 42)])
        let answers = try texts(result)
        #expect(answers.count == 1)
        #expect(answers.first?.hasPrefix("Usage: ") == true && answers.first?.contains("\n") == false)
    }

    @Test func `A user name that was never seen is refused`() async throws {
        #expect(try texts(await gate([raw(".bless @nobody", user: 42)])).first?.contains("not seen") == true)
    }

    @Test func `A user name belongs to the account that used it last`() async throws {
        _ = try await gate([
            raw("hi", user: 1, name: "same"), raw("hi", user: 1, name: "other"), raw("hi", user: 2, name: "same"),
        ])
        _ = try await gate([raw(".bless @same", user: 42)])
        #expect(try redis.cli("EXISTS", "tgpipe:{access}:bless:2") == "1")
        #expect(try redis.cli("EXISTS", "tgpipe:{access}:bless:1") == "0")
    }

    @Test func `Only an admin can change rules`() async throws {
        let result = try await gate([raw(".bless 1", user: 42), raw(".bless 2", user: 1)])
        #expect(try types(result) == ["commands.telegram.react", "commands.telegram.reply"])
        #expect(try redis.cli("EXISTS", "tgpipe:{access}:bless:2") == "0")
    }

    @Test func `An admin cannot be hammered`() async throws {
        _ = try await gate([raw(".hammer 42", user: 42)])
        #expect(try redis.cli("EXISTS", "tgpipe:{access}:hammer:42") == "0")
    }

    @Test func `The whoami command tells any user their role`() async throws {
        let asked = try await gate([
            raw(".whoami", user: 1), raw(".bless 1", user: 42), raw(".whoami", user: 1), raw(".hammer 1", user: 42),
            raw(".whoami", user: 1), raw(".whoami", user: 42),
        ])
        let answers = try texts(asked)
        #expect(answers[0].hasPrefix("U (1): not let in yet. An admin can let you in with .bless 1"))
        #expect(answers[1].hasPrefix("U (1): let in until 20"))
        #expect(answers[2].hasPrefix("U (1): banned until 20"))
        #expect(answers[3] == "U (42): admin")
    }

    @Test func `A standing in a language from right to left begins on the right, whatever the name`() async throws {
        let persian: JSONObject = ["from": ["id": 1, "first_name": "Bob", "is_bot": false, "language_code": "fa"]]
        let answer = try #require(try texts(await gate([raw(".whoami", user: 1, more: persian)])).first)
        #expect(answer.hasPrefix("\u{200f}\u{2068}Bob\u{2069} (\u{2068}1\u{2069}): "))
    }

    @Test func `Admins' commands and standings are answered in the user's language`() async throws {
        func german(_ text: String, _ user: Int64, more: JSONObject = [:]) -> String {
            var more = more
            more["from"] = ["id": .integer(user), "first_name": "U", "is_bot": false, "language_code": "de-AT"]
            return raw(text, user: user, more: more)
        }
        let reply: JSONObject = [
            "reply_to_message": [
                "message_id": 3, "chat": ["id": 42, "type": "private"], "from": ["id": 9, "first_name": "N"],
                "text": "x",
            ]
        ]
        let answers = try texts(
            await gate([
                german(".whoami", 1), german(".bless", 42), german(".unhammer 1", 42), german(".hammer 42", 42),
                german(".bless @nobody", 42), german(".whoami", 42, more: reply), german(".bless 1 2d", 42),
                german(".bless 2", 1), german(".whoami", 1),
            ]))
        #expect(
            answers.dropLast() == [
                "U (1): noch nicht zugelassen. Ein Admin kann dich mit .bless 1 zulassen, oder eine ganze Gruppe mit .grace.",
                "So geht es: .bless @user [30d], oder als Antwort .bless [30d]", "Das war gar nicht so eingestellt.",
                "Einen Admin kann man nicht sperren.",
                "Diesen Namen habe ich seit gestern nicht gesehen. Antworte stattdessen auf eine Nachricht der Person, oder nenne ihre Nummer.",
                "N (9): noch nicht zugelassen. Zulassen kannst du einzelne mit .bless 9, oder eine ganze Gruppe mit .grace.",
                "Das kann nur ein Admin.",
            ])
        #expect(answers.last?.hasPrefix("U (1): zugelassen bis 20") == true)
    }

    @Test(arguments: [
        ("text", ".vdl", "https://a.example/1"), ("text", ".VDL", "https://a.example/1"),
        ("caption", ".adl", "https://a.example/1"),
    ])
    func `The link may be in the message replied to`(_ field: String, _ word: String, _ url: String) async throws {
        let reply: JSONObject = [
            "reply_to_message": .object([
                "message_id": 3, "chat": ["id": 42, "type": "private"], "from": ["id": 9, "first_name": "N"],
                field: .string("see \(url) there"),
            ])
        ]
        let event = try #require(try await gate([raw(word, user: 42, more: reply)]).envelopes().first)
        #expect(event.payload["url"]?.string == url)
        #expect(event.type == (word == ".adl" ? "commands.media.audio_download" : "commands.media.video_download"))
    }

    @Test func `The file may be in the message replied to`() async throws {
        let reply: JSONObject = [
            "reply_to_message": [
                "message_id": 3, "chat": ["id": 42, "type": "private"], "from": ["id": 9, "first_name": "N"],
                "video": [
                    "file_id": "F", "file_unique_id": "U", "duration": 3, "file_size": 10, "mime_type": "video/mp4",
                    "width": 1, "height": 1,
                ],
            ]
        ]
        let event = try #require(try await gate([raw(".vdl", user: 42, more: reply)]).envelopes().first)
        #expect(event.payload["file"]?["file_id"] == "F")
        #expect(event.payload["file"]?["type"] == "video")
    }

    @Test(arguments: [
        ("youtu.be/abc", "https://youtu.be/abc"), ("HTTP://X.org/", "HTTP://X.org/"),
        ("example.org:8080/a?b=1", "https://example.org:8080/a?b=1"),
    ])
    func `Links may lack their scheme`(_ written: String, _ url: String) async throws {
        #expect(try await gate([raw(".vdl \(written)", user: 42)]).envelopes().first?.payload["url"]?.string == url)
    }

    @Test func `A command without a link or file is answered with its usage`() async throws {
        #expect(
            try texts(await gate([raw(".vdl", user: 42), raw(".vdl nonsense", user: 42)])).filter {
                $0.hasPrefix("Usage: .vdl")
            }.count == 2)
    }

    @Test func `Commands can be defined in a table`() async throws {
        let result = try await gate(
            [
                raw("/get@my_bot https://a.example/", user: 42), raw(".ping one two", user: 42),
                raw(".adl https://a.example/", user: 42),
            ],
            [
                "--command", "/get=commands.media.video_download", "--command", ".ping=commands.my.ping", "--command",
                ".adl=",
            ])
        #expect(try types(result) == ["commands.media.video_download", "commands.my.ping"])
        #expect(try result.envelopes()[1].payload == ["text": "one two"])
    }

    @Test func `Only subscribed events are published`() async throws {
        let input = [
            raw(".vdl https://a.example/", user: 42), raw(".adl https://a.example/", user: 42), raw("hi", user: 42),
        ]
        #expect(try types(await gate(input)) == ["commands.media.video_download", "commands.media.audio_download"])
        #expect(
            try types(await gate(input, ["--subscribe", "commands.media.audio_download"])) == [
                "commands.media.audio_download"
            ])
        let all = try await gate(input + [raw("hi", user: 1)], ["--pass-all"])
        #expect(try types(all).filter { $0 == "events.telegram.raw" }.count == 3)
        #expect(try all.envelopes().allSatisfy { $0.type == "events.access.denied" || $0.meta["role"] == "admin" })
        #expect(try types(all).last == "events.access.denied")
    }

    @Test func `An edited message does not run its command again`() async throws {
        let edited = raw(".vdl https://a.example/", user: 42).replacing("\"message\":", with: "\"edited_message\":")
        #expect(try await gate([edited]).lines.isEmpty)
    }

    @Test(arguments: ["forward_origin", "via_bot", "sender_business_bot"])
    func `Commands that another one wrote are not obeyed`(_ key: String) async throws {
        let origin: JSONObject = [key: ["type": "user", "id": 9, "sender_user": ["id": 9, "first_name": "Eve"]]]
        let result = try await gate([
            raw(".bless 9", user: 42, more: origin), raw(".vdl https://a.example/", user: 42, more: origin),
        ])
        #expect(result.lines.isEmpty)
        #expect(try redis.cli("EXISTS", "tgpipe:{access}:bless:9") == "0")
    }

    @Test func `A rule by reply to a channel's message applies to the channel`() async throws {
        let channel: JSONObject = ["sender_chat": ["id": -100, "type": "channel", "title": "C"]]
        let reply: JSONObject = [
            "reply_to_message": [
                "message_id": 3, "chat": ["id": -5, "type": "supergroup"],
                "from": ["id": 136_817_688, "first_name": "Channel"],
                "sender_chat": ["id": -100, "type": "channel", "title": "C"], "text": "x",
            ]
        ]
        let command = raw(".vdl https://a.example/", user: 136_817_688, chat: -5, more: channel)
        let result = try await gate([
            raw(".grace", user: 42, chat: -5), command, raw(".hammer 1h", user: 42, chat: -5, more: reply), command,
            raw(".whoami", user: 136_817_688, chat: -5, more: channel),
        ])
        #expect(try types(result).filter { $0.hasPrefix("commands.media") }.count == 1)
        #expect(try texts(result).last?.hasPrefix("C (-100): banned until 20") == true)
    }

    @Test func `A number without a unit in a reply is not taken for a user id`() async throws {
        let reply: JSONObject = [
            "reply_to_message": [
                "message_id": 3, "chat": ["id": -5, "type": "supergroup"], "from": ["id": 9, "first_name": "N"],
                "text": "x",
            ]
        ]
        #expect(
            try texts(await gate([raw(".hammer 30", user: 42, chat: -5, more: reply)])).first?.hasPrefix("Usage: ")
                == true)
        #expect(try redis.cli("EXISTS", "tgpipe:{access}:hammer:30") == "0")
    }

    @Test func `A command for another bot is not obeyed`() async throws {
        let table = ["--command", "/get=commands.media.video_download"]
        let events = try ["/get@other_bot https://a.example/", "/get@My_Bot https://a.example/"].map { text in
            var event = try Envelope(try JSON(parsing: raw(text, user: 42)))
            event.meta["bot"] = ["id": 5, "username": "my_bot"]
            return event.json.text
        }
        #expect(try types(await gate(events, table)) == ["commands.media.video_download"])
    }

    @Test func `Replies to unauthorised users are limited in each chat`() async throws {
        let asked =
            (0..<50).map { _ in raw(".whoami", user: 1, chat: -5) } + [
                raw(".whoami", user: 2, chat: -5), raw(".whoami", user: 1),
            ]
        let answers = try texts(await gate(asked))
        #expect(answers.filter { $0.hasPrefix("U (1): not let in yet. ") }.count == 10)
        #expect(answers.last?.hasPrefix("U (2): not let in yet. ") == true)
        let admins = try await gate((0..<20).map { _ in raw(".whoami", user: 42) })
        #expect(try texts(admins).count == 20)
    }

    @Test func `The list of admins may contain spaces`() async throws {
        let result = try await ToolRun.run(
            "tg-gate", input: raw(".whoami", user: 43) + "\n",
            environment: ["TGPIPE_REDIS": redis.address, "TG_ADMIN_ID": "42, 43"])
        #expect(try texts(result) == ["U (43): admin"])
    }

    @Test func `Other events are forwarded unchanged`() async throws {
        let odd = #"{ "type":"my.event", "correlation_id" : "0192F0C1-2345-7ABC-8DEF-0123456789AB","x":[1, 2 ]}"#
        #expect(try await gate([odd]).lines == [odd])
    }

    @Test func `Malformed lines go to the dead-letter output`() async throws {
        let folder = try TemporaryFolder()
        let none = Envelope(type: "events.telegram.raw", payload: ["update_id": 1])
        let result = try await gate(
            ["{oops", none.json.text, raw(".whoami", user: 42)], ["--dead-letter", folder("dead")])
        #expect(result.status == 65)
        #expect(try types(result) == ["commands.telegram.reply"])
        let letters = try String(contentsOfFile: folder("dead"), encoding: .utf8).split(separator: "\n")
        let codes = try letters.map { try JSON(parsing: String($0))["payload"]?["code"] }
        #expect(codes == ["not_json", "invalid_payload"])
        #expect(try JSON(parsing: String(letters[1]))["payload"]?["line"]?.string == none.json.text)
    }

    @Test func `Without Redis the tool does not start`() async throws {
        let result = try await ToolRun.run(
            "tg-gate", ["--admin", "42"], environment: ["TGPIPE_REDIS": "unix:/nonexistent/redis.sock"])
        #expect(result.status == 69)
        #expect(result.errors.contains("unable to reach Redis"))
    }

    @Test func `The tool waits for Redis to return`() async throws {
        let run = try ToolRun("tg-gate", ["--admin", "42"], environment: ["TGPIPE_REDIS": redis.address])
        run.send(raw(".whoami", user: 42))
        _ = try await run.waitForLines { $0.count == 1 }
        redis.kill()
        run.send(raw(".whoami", user: 42))
        #expect(try await eventually { run.log.contains("trying again") })
        try redis.start()
        _ = try await run.waitForLines { $0.count == 2 }
        run.closeInput()
        #expect(try await run.result().status == 0)
    }

    @Test func `A missing admin is a configuration error`() async throws {
        #expect(try await ToolRun.run("tg-gate", environment: ["TGPIPE_REDIS": redis.address]).status == 78)
        #expect(
            try await ToolRun.run("tg-gate", environment: ["TGPIPE_REDIS": redis.address, "TG_ADMIN_ID": "ann"]).status
                == 78)
    }
}

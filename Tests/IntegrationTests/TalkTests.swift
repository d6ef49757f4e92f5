import Envelope
import JSON
import TestSupport
import Testing

/// Runs tg-talk with what tg-gate publishes.
@Suite(.timeLimit(.minutes(3))) struct TalkTests {
    private let redis: RedisServer

    init() throws { redis = try RedisServer() }

    private func raw(_ text: String, _ user: JSONObject = [:], chat: JSONObject = ["id": 5, "type": "private"])
        -> String
    {
        var from: JSONObject = ["id": 5, "first_name": "Ada", "is_bot": false]
        for member in user.members { from[member.key] = member.value }
        let message: JSONObject = [
            "message_id": 7, "date": 1_700_000_000, "chat": .object(chat), "from": .object(from), "text": .string(text),
        ]
        return Envelope(
            type: "events.telegram.raw", payload: ["update_id": 1, "message": .object(message)],
            meta: ["bot": ["id": 1, "username": "some_bot"]]
        ).json.text
    }

    private func gate(_ input: [String], admin: String = "5") async throws -> String {
        let result = try await ToolRun.run(
            "tg-gate",
            [
                "--admin", admin, "--subscribe", "commands.#", "--subscribe", "events.telegram.raw", "--subscribe",
                "events.access.denied",
            ], input: input.map { $0 + "\n" }.joined(), environment: ["TGPIPE_REDIS": redis.address])
        return result.lines.map { $0 + "\n" }.joined()
    }

    /// Pipes messages through the gate and tg-talk.
    private func talk(
        _ input: String..., admin: String = "5", options: [String] = [], environment: [String: String] = [:]
    ) async throws -> [Envelope] {
        try await talk(input: input, admin: admin, options: options, environment: environment)
    }

    private func talk(
        input: [String], admin: String = "5", options: [String] = [], environment: [String: String] = [:]
    ) async throws -> [Envelope] {
        try await ToolRun.run(
            "tg-talk", options, input: try await gate(input, admin: admin),
            environment: ["TGPIPE_REDIS": redis.address].merging(environment) { $1 }
        ).envelopes()
    }

    private func texts(_ events: [Envelope]) -> [String] {
        events.filter { $0.type == "commands.telegram.reply" }.compactMap { $0.payload["text"]?.string }
    }

    @Test func `The start and the help greet in the user's language`() async throws {
        let german: JSONObject = ["language_code": "de-AT"]
        let found = texts(
            try await talk(raw("/start"), raw("/help@some_bot"), raw("/start", german), raw("/help", german)))
        #expect(found.count == 4)
        #expect(found[0].hasPrefix("Hello, Ada!") && found[2].hasPrefix("Hallo, Ada!"))
        #expect(found[1].contains("/vdl 720 <link>") && found[1].contains(".bless @user 30d"))
        #expect(found[3].contains("/vdl 720 <Link>"))
    }

    @Test func `An account does not promise that a link alone is enough`() async throws {
        let asked = [
            raw("/start"), raw(".help"), raw("/start", ["language_code": "fa"]), raw(".lang"),
            raw("/lang", ["language_code": "de"]),
        ]
        // The same messages to the account of a person.
        let account = try asked.map { line in
            var event = try Envelope(try JSON(parsing: line))
            (event.meta["bot"], event.meta["account"]) = (nil, ["id": 1, "username": "some_account"])
            return event.json.text
        }
        let found = texts(try await talk(input: account))
        #expect(found.count == 5)
        #expect(found[0].hasPrefix("Hello, Ada! Send me /vdl and a link to a video"))
        #expect(found[1].contains("a link or a file.\n.lang") || found[1].contains("a link or a file.\n/lang"))
        #expect(found[2].contains("\u{2068}/vdl\u{2069}"))
        #expect(found[3].contains(".lang de") && found[4].contains("/lang en"))
    }

    @Test func `Only admins read the commands of admins`() async throws {
        _ = try await gate([raw(".bless 5", ["id": 42])], admin: "42")
        let found = texts(try await talk(raw(".help"), admin: "42"))
        #expect(found.count == 1 && found[0].contains(".vdl 720") && !found[0].contains("bless"))
    }

    @Test func `A preference completes the commands of the one who chose it`() async throws {
        let answers = texts(
            try await talk(raw("/prefer"), raw("/prefer 480 opus"), raw(".prefer"), raw("/prefer 1:00-2:00")))
        #expect(answers[0].hasPrefix("You get the best picture, and sound as mp3.\n/prefer 720, /prefer opus"))
        #expect(answers[1] == "You get: 480 opus.")
        #expect(answers[2].hasPrefix("You get: 480 opus.\n.prefer 720"))
        #expect(answers[3].hasPrefix("I do not understand “1:00-2:00”."))
        let events = try await talk(
            raw(".vdl https://a.example/"), raw(".adl https://a.example/"), raw(".vdl 720 file https://a.example/"),
            raw("https://a.example/"))
        #expect(events.map { $0.payload["variant"]?["height"]?.int } == [480, nil, 720, 480])
        #expect(events.map { $0.payload["variant"]?["audio_format"]?.string } == [nil, "opus", nil, nil])
        #expect(events.map { $0.meta["as_file"] == true } == [false, false, true, false])
        let tagged = try await talk(raw(".vdl #a_b <i> https://a.example/ #Ж"))
        #expect(tagged.first?.meta["hashtags"] == ["a_b", "Ж"])
        let bare = try await talk(raw("#x https://a.example/ #y"))
        #expect(bare.first?.meta["hashtags"] == ["x", "y"] && bare.first?.payload["url"] == "https://a.example/")
        // Somebody else has preferences of their own.
        let other = try await talk(raw(".vdl https://a.example/", ["id": 6]), admin: "6")
        #expect(other.count == 1 && other[0].payload["variant"] == nil)
        #expect(texts(try await talk(raw("/prefer off"))) == ["You get the best picture, and sound as mp3."])
    }

    @Test func `A chosen language counts from then on, for all stages`() async throws {
        let set = texts(try await talk(raw("/lang fa"), raw("/lang"), raw("/lang tlh")))
        #expect(set[0] == "از این پس به فارسی می‌نویسم.")
        let later = try await talk(
            raw("/lang tlh"), raw(".vdl https://a.example/"), raw(".vdl 9x9p https://a.example/"))
        #expect(texts(later)[0].hasPrefix("این زبان را نمی‌شناسم."))
        // Names and commands stand between marks that isolate them.
        #expect(texts(later)[1].contains("«\u{2068}9x9p\u{2069}»") && texts(later)[1].contains("\u{2068}.vdl\u{2069}"))
        let command = try #require(later.first { $0.type == "commands.media.video_download" })
        #expect(command.meta["actor"]?["language"] == "fa")
    }

    @Test(arguments: [
        ("/vld https://a.example/", "I do not know /vld. Did you mean /vdl?"),
        (".hlep", "I do not know .hlep. Did you mean .help?"),
        ("/frobnicate", "I do not know /frobnicate. /help shows what I can do."),
    ])
    func `A mistyped command gets a suggestion`(_ text: String, _ answer: String) async throws {
        #expect(texts(try await talk(raw(text))) == [answer])
    }

    @Test func `Commands of others, and words, are not answered`() async throws {
        let group: JSONObject = ["id": -100, "type": "supergroup", "title": "G"]
        let events = try await talk(
            raw("/vld@other_bot x"), raw("hello there"), raw("..."), raw("/frobnicate", chat: group),
            raw(".whoami", chat: group), raw("https://a.example/", chat: group), raw("/get x"),
            options: ["--known", "/get"])
        #expect(events.map(\.type) == ["commands.telegram.reply"])
        #expect(texts(events)[0].contains("admin"))
    }

    @Test func `A bare link in a private chat is a request`() async throws {
        let long = "https://a.example/" + String(repeating: "v", count: 100)
        let events = try await talk(raw("https://a.example/v?x=1"), raw(long))
        let event = try #require(events.first)
        #expect(events.count == 2 && events.last?.payload["url"]?.string == long)
        #expect(event.type == "commands.media.video_download")
        #expect(event.payload == ["url": "https://a.example/v?x=1"])
        #expect(event.meta["role"] == "admin" && event.meta["origin"]?["message_id"] == 7)
    }

    @Test func `A slash means the same as a dot, and options become a variant`() async throws {
        let events = try await talk(
            raw("/VDL@some_bot 720 1:30-2:45 https://a.example/"), raw("/adl opus https://a.example/"),
            raw(".vdl? https://a.example/"))
        #expect(
            events.map { JSON.object($0.payload).text } == [
                #"{"url":"https://a.example/","variant":{"height":720,"start_seconds":90,"end_seconds":165}}"#,
                #"{"url":"https://a.example/","variant":{"audio_format":"opus"}}"#,
                #"{"url":"https://a.example/","ask":true}"#,
            ])
        #expect(events[1].type == "commands.media.audio_download")
    }

    @Test func `A stranger gets one line an hour with the id`() async throws {
        let stranger: JSONObject = ["id": 77]
        let chat: JSONObject = ["id": 77, "type": "private"]
        let group: JSONObject = ["id": -100, "type": "supergroup", "title": "G"]
        let events = try await talk(
            raw("hi", stranger, chat: chat), raw("/start", stranger, chat: chat),
            raw("hi", ["id": 78], chat: group), raw(".vdl https://a.example/", ["id": 79], chat: group))
        #expect(
            texts(events) == [
                "Sorry, I do not know you. Your id is 77; an admin can let you in with .bless 77.",
                "Sorry, I do not know you. Your id is 79; an admin can let you in with .bless 79.",
            ])
        #expect(events[0].meta["origin"]?["chat_id"] == 77)
        let left = Int64(try redis.cli("TTL", "tgpipe:{talk}:stranger:77")) ?? 0
        #expect((3500...3600).contains(left))
        let silent = try await talk(raw("hi", ["id": 80], chat: chat), options: ["--ignore-strangers"])
        #expect(silent.isEmpty)
    }

    @Test func `The press of a stranger is answered`() async throws {
        let press = Envelope(
            type: "events.telegram.raw",
            payload: [
                "update_id": 3,
                "callback_query": [
                    "id": "99", "from": ["id": 77, "first_name": "X", "is_bot": false], "chat_instance": "1",
                    "data": "x",
                    "message": [
                        "message_id": 7, "date": 1, "chat": ["id": -100, "type": "supergroup", "title": "G"],
                        "text": "?",
                    ],
                ],
            ], meta: ["bot": ["id": 1, "username": "some_bot"]])
        let events = try await talk(press.json.text)
        #expect(events.map(\.type) == ["commands.telegram.answer"])
        #expect(events.first?.payload["callback_id"] == "99")
        #expect(events.first?.payload["text"] == "Only the person who asked can choose.")
    }

    @Test func `Somebody who is shut out gets no answer`() async throws {
        _ = try await gate([raw(".hammer 77 1h")])
        #expect(try await talk(raw("hi", ["id": 77], chat: ["id": 77, "type": "private"])).isEmpty)
    }

    @Test func `The menu is set once, in each language, with more for an admin`() async throws {
        let telegram = try BotEmulator()
        let environment = telegram.environment.merging(["TGPIPE_REDIS": redis.address, "TG_ADMIN_ID": "42"]) { $1 }
        // A tool whose input ends at once has no time for it.
        func run() async throws {
            let talk = try SpawnedProgram([
                "sh", "-c",
                "export \(environment.map { "\($0)='\($1)'" }.joined(separator: " ")); sleep 4 | \(ToolRun.path(of: "tg-talk"))",
            ])
            #expect(talk.wait() == 0)
        }
        try await run()
        let calls = try await telegram.calls("setMyCommands")
        #expect(calls.count == 14)
        let menus = calls.compactMap { $0["params"] }
        let admin = menus.filter { $0["scope"]?["chat_id"]?.int == 42 }
        #expect(admin.count == 7 && menus.filter { $0["scope"] == nil }.count == 7)
        #expect(Set(menus.map { $0["language_code"]?.string ?? "" }) == ["", "de", "es", "pt", "ru", "fa", "ar"])
        func names(_ menu: JSON?) -> [String] { (menu?["commands"]?.array ?? []).compactMap { $0["command"]?.string } }
        #expect(
            names(menus.first { $0["scope"] == nil }) == [
                "vdl", "adl", "img", "stop", "queue", "usage", "prefer", "help", "lang", "whoami",
            ])
        #expect(names(admin.first).contains("bless"))
        try await run()
        #expect(try await telegram.calls("setMyCommands").count == 14)
    }

    @Test func `Other events are forwarded unchanged`() async throws {
        let lines = [
            #"{"type":"commands.x.y",  "correlation_id":"01930b7a-4f00-7abc-8def-0123456789ab"}"#,
            Envelope(
                type: "events.telegram.raw",
                payload: ["update_id": 2, "callback_query": ["id": "1", "from": ["id": 5], "data": "x"]]
            ).json.text,
        ]
        let result = try await ToolRun.run(
            "tg-talk", [], input: lines.map { $0 + "\n" }.joined(), environment: ["TGPIPE_REDIS": redis.address])
        #expect(result.lines == lines)
    }

    @Test func `The eleventh answer within a minute is not given`() async throws {
        _ = try await gate([raw(".bless 5", ["id": 42])], admin: "42")
        let input = try await gate((0..<12).map { _ in raw("/help") }, admin: "42")
        let result = try await ToolRun.run(
            "tg-talk", [], input: input, environment: ["TGPIPE_REDIS": redis.address])
        #expect(try result.envelopes().count == 10)
    }
}

import Envelope
import JSON
import TestSupport
import Testing

/// Runs a bot that asks in which form media is wanted, against the emulated Telegram.
@Suite(.serialized, .timeLimit(.minutes(5))) struct AskTests {
    private static let ann = BotEmulator.User(42, "Ann", username: "ann")
    private static let bob = BotEmulator.User(43, "Bob", username: "bob")
    private static let group: Int64 = -1_000_000_000_700

    private func bot(wait: String = "60s", ask: String = "") async throws -> MediaBot {
        try await MediaBot(["tg-talk", "media-ask --allow-private --wait \(wait) \(ask)"])
    }

    @Test func `A pressed button chooses the form, and the keyboard goes`() async throws {
        let bot = try await bot()
        let request = try await bot.telegram.say(".vdl? \(bot.page)", as: Self.ann)
        let question = try await bot.question(in: 42)
        #expect(question.text?.contains("What would you like?") == true && question.repliesTo == request)
        let labels = question.buttons.compactMap { $0["text"]?.string }
        #expect(labels == ["Best quality", "240p", "120p", "🎵 Sound", "📄 As a file"])
        let query = try await bot.telegram.press("120p", of: question.id, in: 42, as: Self.ann)
        #expect(try await bot.toast(of: query) == "On it.")
        let sent = try await bot.answer(in: 42) { $0.message["video"] != nil }
        #expect(sent.message["video"]?["height"]?.int == 120 && sent.repliesTo == request)
        // The question has been removed with the placeholder reply.
        #expect(try await eventuallyAsync { try await bot.telegram.answers(in: 42).count == 1 })
    }

    @Test func `Sound can be chosen, and does not answer for the video`() async throws {
        let bot = try await bot(ask: "--ask")
        try await bot.telegram.say(".vdl \(bot.page)", as: Self.ann)
        let first = try await bot.question(in: 42)
        try await bot.telegram.press("Sound", of: first.id, in: 42, as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.message["audio"] != nil }
        try await bot.telegram.say("/vdl \(bot.page)", as: Self.ann)
        let second = try await bot.question(in: 42)
        try await bot.telegram.press("Best", of: second.id, in: 42, as: Self.ann)
        let sent = try await bot.answer(in: 42) { $0.message["video"] != nil }
        #expect(sent.message["video"]?["height"]?.int == 240)
    }

    @Test func `A file to keep can be chosen`() async throws {
        let bot = try await bot()
        try await bot.telegram.say(".vdl? \(bot.page)", as: Self.ann)
        let question = try await bot.question(in: 42)
        try await bot.telegram.press("As a file", of: question.id, in: 42, as: Self.ann)
        let sent = try await bot.answer(in: 42) { $0.message["document"] != nil }
        #expect(sent.message["video"] == nil)
    }

    @Test(arguments: ["best", "file"])
    func `A word that names a form is an answer, so that nobody is asked`(_ word: String) async throws {
        let bot = try await MediaBot(["tg-talk", "media-ask --allow-private --ask"])
        try await bot.telegram.say(".vdl \(word) \(bot.page)", as: Self.ann)
        let field = word == "file" ? "document" : "video"
        _ = try await bot.answer(in: 42) { $0.message[field] != nil }
        let all = try await bot.telegram.calls("sendMessage") + bot.telegram.calls("editMessageText")
        #expect(!all.contains { $0["params"]?["text"]?.string?.contains("What would you like") == true })
    }

    @Test func `Without an answer the best form comes, also for a bare link`() async throws {
        let bot = try await bot(wait: "2s", ask: "--ask")
        try await bot.telegram.say(bot.page, as: Self.ann)
        let question = try await bot.question(in: 42)
        let data = question.buttons.last?["callback_data"] ?? .null
        let sent = try await bot.answer(in: 42) { $0.message["video"] != nil }
        #expect(sent.message["video"]?["height"]?.int == 240)
        // A press that comes too late, as a client with an old screen sends it.
        try await bot.telegram.update([
            "callback_query": [
                "id": "777", "from": ["id": 42, "first_name": "Ann", "is_bot": false], "chat_instance": "1",
                "data": data, "message": question.message,
            ]
        ])
        #expect(try await bot.toast(of: "777") == "You have chosen already.")
    }

    @Test func `Foreign, repeated, changed and forged presses choose nothing`() async throws {
        let bot = try await bot()
        try await bot.telegram.say(".grace", as: Self.ann, chat: Self.group)
        try await bot.telegram.say(".vdl? \(bot.page)", as: Self.ann, chat: Self.group)
        let question = try await bot.question(in: Self.group)
        let foreign = try await bot.telegram.press("120p", of: question.id, in: Self.group, as: Self.bob)
        #expect(try await bot.toast(of: foreign) == "Only the person who asked can choose.")
        let data = try #require(question.buttons.first?["callback_data"]?.string)
        let (kept, rest) = (data.dropLast(24), data.suffix(24))
        let swapped = kept + (rest.first == "A" ? "B" : "A") + rest.dropFirst()
        let other = try await bot.telegram.say("hello", as: Self.ann)
        let forgeries: [(String, JSON)] = [
            ("c1:AAAA", question.message), (String(swapped), question.message),
            (
                data,
                ["message_id": .integer(other), "date": 1, "chat": ["id": 42, "type": "private", "first_name": "Ann"]]
            ),
        ]
        for (number, (data, message)) in forgeries.enumerated() {
            try await bot.telegram.update([
                "callback_query": [
                    "id": .string("forged\(number)"), "from": ["id": 42, "first_name": "Ann", "is_bot": false],
                    "chat_instance": "1", "data": .string(data), "message": message,
                ]
            ])
            #expect(try await bot.toast(of: "forged\(number)") == "That choice is over. Send the link again.")
        }
        #expect(try await bot.telegram.calls("sendVideo").isEmpty)
        _ = try await bot.telegram.press("240p", of: question.id, in: Self.group, as: Self.ann)
        let sent = try await bot.answer(in: Self.group) { $0.message["video"] != nil }
        #expect(sent.message["video"]?["height"]?.int == 240)
    }

    @Test func `A person who wants to be asked is asked, and one who chose in the command is not`() async throws {
        let bot = try await bot()
        try await bot.telegram.say("/ask on", as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.text == "From now on I ask what you would like." }
        try await bot.telegram.say(".vdl 120 \(bot.page)", as: Self.ann)
        let sent = try await bot.answer(in: 42) { $0.message["video"] != nil }
        #expect(sent.message["video"]?["height"]?.int == 120)
        try await bot.telegram.say(".vdl \(bot.page)", as: Self.ann)
        let question = try await bot.question(in: 42)
        try await bot.telegram.press("Best", of: question.id, in: 42, as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.message["video"]?["height"]?.int == 240 }
    }

    @Test func `A request that cannot be described goes on, and its failure is told`() async throws {
        let bot = try await bot()
        try await bot.telegram.say(".vdl? \(bot.site.url)/status/404", as: Self.ann)
        let failure = try await bot.answer(in: 42) { $0.text?.hasPrefix("❌") == true }
        #expect(failure.buttons.isEmpty)
    }
}

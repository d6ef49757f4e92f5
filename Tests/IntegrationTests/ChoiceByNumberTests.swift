import JSON
import TestSupport
import Testing

/// Chooses forms of media by numbers, from an account, which can show no buttons.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ChoiceByNumberTests {
    private func bot(wait: String = "60s") async throws -> ChatFixture {
        let bot = try await ChatFixture(.account, ask: "--wait \(wait)")
        for (name, size) in [("small", "160x120"), ("large", "320x240")] {
            let clip =
                "ffmpeg -v error -f lavfi -i testsrc=d=2:s=\(size) -f lavfi -i sine=d=2 -shortest -pix_fmt yuv420p"
            #expect(try SpawnedProgram(["sh", "-c", "\(clip) \(bot.folder("www/\(name).mp4"))"]).wait() == 0)
        }
        return bot
    }

    private func page(_ bot: ChatFixture, _ number: Int = 0) -> String {
        "\(bot.site.url)/choice/film?at=120:small.mp4&at=240:large.mp4&n=\(number)"
    }

    @Test(arguments: ["3", "۳", " ٣ "])
    func `The number of a form chooses it, in the digits of any script`(_ number: String) async throws {
        let bot = try await bot()
        let request = try await bot.telegram.say(".vdl? \(page(bot))", as: ChatFixture.ann)
        let question = try await bot.answer { $0.repliesTo == request && $0.shownText.contains("Write me its number.") }
        #expect(question.buttons.isEmpty)
        #expect(
            question.shownText.contains(
                "\n1. Best quality\n2. 240p\n3. 120p\n4. 🎵 Sound\n5. 📄 As a file\nWhat would"))
        // Beyond the list; and of another person, who was asked nothing.
        try await bot.telegram.say("6", as: ChatFixture.ann)
        _ = try await bot.answer { $0.text == "The list goes from 1 to 5." }
        let chosen = try await bot.telegram.say(number, as: ChatFixture.ann)
        let sent = try await bot.answer { $0.message["video"] != nil }
        #expect(sent.message["video"]?["height"]?.int == 120 && sent.repliesTo == request)
        let messages = try await bot.telegram.chat(42)
        #expect(messages.first { $0.id == chosen }?.reactions == ["👍"])
        // A number that answers nothing is a message like others.
        try await bot.telegram.say("2", as: ChatFixture.ann)
        try await bot.telegram.say(".whoami", as: ChatFixture.ann)
        _ = try await bot.answer { $0.text == "Ann (42): admin" }
        #expect(try await bot.telegram.answers(in: 42).filter { $0.message["video"] != nil }.count == 1)
        #expect(try await bot.telegram.violations() == [])
    }

    @Test func `In a group only the number of the one who asked counts, and without one the best comes`() async throws {
        let bot = try await bot(wait: "8s")
        try await bot.telegram.say(".grace", as: ChatFixture.ann, chat: ChatFixture.group)
        let request = try await bot.telegram.say(".vdl? \(page(bot))", as: ChatFixture.ann, chat: ChatFixture.group)
        _ = try await bot.answer(in: ChatFixture.group) { $0.repliesTo == request && $0.shownText.contains("3. 120p") }
        try await bot.telegram.say("3", as: ChatFixture.bob, chat: ChatFixture.group)
        let sent = try await bot.answer(in: ChatFixture.group) { $0.message["video"] != nil }
        #expect(sent.message["video"]?["height"]?.int == 240)
    }
}

import Envelope
import JSON
import TestSupport
import Testing

/// Runs a bot whose users choose once for all in which form they get media, against the emulated Telegram.
@Suite(.serialized, .timeLimit(.minutes(5))) struct PreferenceTests {
    private static let ann = BotEmulator.User(42, "Ann", username: "ann")

    @Test func `A file to keep is sent as a document, and never answers for the video`() async throws {
        let bot = try await MediaBot(["tg-talk"])
        try await bot.telegram.say(".vdl file \(bot.page)", as: Self.ann)
        let file = try await bot.answer(in: 42) { $0.message["document"] != nil }
        #expect(file.message["video"] == nil && file.message["document"]?["mime_type"] == "video/mp4")
        #expect(file.message["document"]?["file_name"]?.string?.hasSuffix(".mp4") == true)
        // The store has the media now; Telegram does not have them as a video.
        try await bot.telegram.say(".vdl \(bot.page)", as: Self.ann)
        let video = try await bot.answer(in: 42) { $0.message["video"] != nil }
        #expect(video.message["document"] == nil)
        try await bot.telegram.say(".vdl \(bot.page) file", as: Self.ann)
        #expect(
            try await eventuallyAsync {
                try await bot.telegram.answers(in: 42).filter { $0.message["document"] != nil }.count == 2
            })
        let uploads = try await bot.telegram.calls("sendDocument").filter { $0["files"]?.object?.isEmpty == false }
        #expect(uploads.count <= 1, "the second document came from Telegram's own copy")
    }

    @Test func `A preference holds for a command that comes at the same moment`() async throws {
        let bot = try await MediaBot(["tg-talk"])
        for _ in 0..<3 {
            try await bot.telegram.say("/prefer 120p", as: Self.ann)
            try await bot.telegram.say(".vdl \(bot.page)", as: Self.ann)
            try await bot.telegram.say("/prefer off", as: Self.ann)
            try await bot.telegram.say(".vdl \(bot.page)", as: Self.ann)
        }
        #expect(
            try await eventuallyAsync {
                let heights = try await bot.telegram.answers(in: 42).compactMap { $0.message["video"]?["height"]?.int }
                return heights.filter { $0 == 120 }.count == 3 && heights.filter { $0 == 240 }.count == 3
            })
    }

    @Test func `A preferred height leaves the file of a link as it is, and one in the command does not`() async throws {
        let bot = try await MediaBot(["tg-talk"])
        try await bot.telegram.say("/prefer 120p", as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.text == "You get: 120." }
        try await bot.telegram.say(".vdl \(bot.site.url)/large.mp4", as: Self.ann)
        let whole = try await bot.answer(in: 42) { $0.message["video"] != nil }
        #expect(whole.message["video"]?["height"] == 240)
        try await bot.telegram.say(".vdl 120 \(bot.site.url)/large.mp4", as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.message["video"]?["height"] == 120 }
    }

    @Test func `What a user prefers holds for commands and bare links until it is changed`() async throws {
        let bot = try await MediaBot(["tg-talk"])
        try await bot.telegram.say("/prefer 120p file", as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.text == "You get: 120 file." }
        try await bot.telegram.say(bot.page, as: Self.ann)
        let file = try await bot.answer(in: 42) { $0.message["document"] != nil }
        let small = try #require(file.message["document"]?["file_size"]?.int)
        try await bot.telegram.say(".vdl best video \(bot.page)", as: Self.ann)
        let video = try await bot.answer(in: 42) { $0.message["video"] != nil }
        #expect(video.message["video"]?["height"] == 240)
        #expect(try #require(video.message["video"]?["file_size"]?.int) > small)
        try await bot.telegram.say("/prefer off", as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.text == "You get the best picture, and sound as mp3." }
        try await bot.telegram.say(bot.page, as: Self.ann)
        #expect(
            try await eventuallyAsync {
                try await bot.telegram.answers(in: 42).filter { $0.message["video"]?["height"] == 240 }.count == 2
            })
    }
}

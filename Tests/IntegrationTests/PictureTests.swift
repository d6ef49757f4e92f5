import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Runs a bot that fetches pictures, against the emulated Telegram.
@Suite(.serialized, .timeLimit(.minutes(5))) struct PictureTests {
    private static let ann = BotEmulator.User(42, "Ann", username: "ann")
    private static let board = "--gallery-dl-arg=--option --gallery-dl-arg=extractor.vichan.test.root={site}"

    private func bot(_ options: String = "") async throws -> MediaBot {
        let bot = try await MediaBot(
            ["tg-talk", "media-expand --allow-private \(Self.board) \(options)"],
            fetch: "--concurrency 3 --per-user 3 \(Self.board)")
        for (name, size, options) in [
            ("p1.png", "120x80", ""), ("p2.jpg", "200x100", ""), ("p3.png", "6000x20", ""), ("p4.gif", "64x64", ""),
        ] {
            try bot.makePicture("b/src/\(name)", "-f lavfi -i testsrc=s=\(size):d=1:r=2 \(options)")
        }
        try bot.write("<svg/>", to: "b/src/p5.svg")
        return bot
    }

    /// Makes a page with files.
    private func page(_ number: Int, of bot: MediaBot, _ files: String...) throws -> String {
        try page(number, of: bot, files)
    }

    private func page(_ number: Int, of bot: MediaBot, _ files: [String]) throws -> String {
        let posts = files.enumerated().map { index, file -> JSON in
            let parts = file.split(separator: ".")
            return .object([
                "no": .integer(Int64(index)), "tim": .string(String(parts[0])), "ext": .string(".\(parts[1])"),
                "filename": .string("name \(index + 1)"), "time": 1, "com": "",
            ])
        }
        let head: JSON = .object(["no": 0, "sub": "Holidays", "com": ""])
        try bot.write(JSON.object(["posts": .array([head] + posts)]).text, to: "b/res/\(number).json")
        try bot.write("<html><body>nothing to see</body></html>", to: "b/res/\(number).html")
        return "\(bot.site.url)/b/res/\(number).html"
    }

    /// Waits for a number of answers that are no text, and for the end of the progress.
    private func results(_ bot: MediaBot, _ count: Int) async throws -> [BotEmulator.Entry] {
        _ = try await eventuallyAsync {
            let answers = try await bot.telegram.answers(in: 42)
            return answers.filter { $0.text == nil }.count >= count
                && !answers.contains { $0.text?.contains("⏳") == true }
        }
        return try await bot.telegram.answers(in: 42).filter { $0.text == nil }
    }

    private func kinds(_ entries: [BotEmulator.Entry]) -> [String] {
        entries.map { entry in
            ["photo", "animation", "video", "document"].first { entry.message[$0] != nil } ?? entry.text ?? "?"
        }
    }

    @Test func `The pictures of a post come in order, each in the form that Telegram takes`() async throws {
        let bot = try await bot()
        let link = try page(1, of: bot, "p1.png", "p2.jpg", "p3.png", "p4.gif")
        let request = try await bot.telegram.say(".img \(link)", as: Self.ann)
        let answers = try await results(bot, 4)
        // The third one is much wider than high, which Telegram takes only as a file.
        #expect(kinds(answers) == ["photo", "photo", "document", "animation"], "\(answers.map(\.message))")
        #expect(answers.allSatisfy { $0.repliesTo == request })
        let albums = answers.map { $0.message["media_group_id"]?.string }
        #expect(albums[0] != nil && albums[0] == albums[1] && albums[2] == nil && albums[3] == nil)
        #expect(answers[0].message["caption"]?.string?.hasPrefix("Holidays") == true)
        // Again: by Telegram's own copies.
        try await bot.telegram.say("/img \(link)", as: Self.ann)
        #expect(kinds(try await results(bot, 8)).suffix(4) == ["photo", "photo", "document", "animation"])
        let calls = try await bot.telegram.calls("sendMediaGroup")
        #expect(calls.count == 2, "\(calls)")
        #expect(calls.first?["params"]?["file1"] != nil && calls.last?["params"]?["file0"] == nil, "\(calls)")
        // One message for the end of each request would be one too many.
        #expect(try await bot.telegram.answers(in: 42).count == 8)
    }

    @Test func `Twenty-three pictures are three albums, in order, without those that fail`() async throws {
        let bot = try await bot("--max-items 30")
        let posts = (0..<24).map { $0 == 5 ? "p5.svg" : "q\($0).png" }
        for number in 0..<24 where number != 5 {
            try bot.makePicture("b/src/q\(number).png", "-f lavfi -i color=red:s=\(100 + 2 * number)x90:d=1")
        }
        let link = try page(9, of: bot, posts)
        try await bot.telegram.say(".img \(link)", as: Self.ann)
        let failure = try await bot.answer(in: 42) { $0.text?.hasPrefix("❌") == true }
        #expect(failure.text?.contains("Failed: 1 of 24") == true, "\(failure.text ?? "")")
        let photos = try await bot.telegram.answers(in: 42).filter { $0.message["photo"] != nil }
        let widths = photos.compactMap { $0.message["photo"]?.array?.last?["width"]?.int }
        let expected: [Int64] = (0..<24).filter { $0 != 5 }.map { 100 + 2 * $0 }
        #expect(widths == expected)
        var sizes: [String: Int] = [:]
        for photo in photos { sizes[photo.message["media_group_id"]?.string ?? "", default: 0] += 1 }
        #expect(sizes.values.sorted() == [3, 10, 10], "\(sizes)")
    }

    @Test func `What is no picture is listed at the end, and a range selects`() async throws {
        let bot = try await bot("--max-items 2")
        let link = try page(2, of: bot, "p1.png", "p5.svg", "p2.jpg")
        try await bot.telegram.say(".img 2-3 \(link)", as: Self.ann)
        let failure = try await bot.answer(in: 42) { $0.text?.hasPrefix("❌") == true }
        #expect(failure.text?.contains("What is at that link is no picture.") == true)
        #expect(kinds(try await results(bot, 1)).first == "photo")
        try await bot.telegram.say(".img \(link)", as: Self.ann)
        let more = try await bot.answer(in: 42) { $0.text?.contains("📚") == true }
        #expect(more.text?.contains("3-4") == true)
    }

    @Test func `A request for a video gets the pictures of a post that has no video`() async throws {
        let bot = try await bot()
        let link = try page(3, of: bot, "p2.jpg", "p1.png")
        try await bot.telegram.say(link, as: Self.ann)
        #expect(kinds(try await results(bot, 2)) == ["photo", "photo"])
        try await bot.telegram.say(".adl \(link)", as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.text?.hasPrefix("❌") == true }
    }

    @Test func `A page without pictures, and a file of a message`() async throws {
        let bot = try await bot()
        try bot.write("<html><body>nothing</body></html>", to: "pages/text.html")
        try await bot.telegram.say(".img \(bot.site.url)/pages/text.html", as: Self.ann)
        let failure = try await bot.answer(in: 42) { $0.text?.hasPrefix("❌") == true }
        #expect(failure.text == "❌ There are no pictures that I can find at that link.")
        try await bot.telegram.say(".img \(bot.site.url)/b/src/p1.png", as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.message["photo"] != nil }
    }

    @Test func `In the shell, all pictures of a page come into a folder`() async throws {
        let bot = try await bot()
        let link = try page(5, of: bot, "p1.png", "p2.jpg")
        let folder = try TemporaryFolder()
        let arguments = Self.board.replacing("{site}", with: bot.site.url).split(separator: " ").map(String.init)
        let result = try await ToolRun.run(
            "media-fetch", ["--allow-private", "--images", "-o", folder("out")] + arguments + [link],
            environment: ["PATH": "\(try PythonTools.binFolder()):/usr/local/bin:/usr/bin:/bin"], folder: folder)
        #expect(result.status == 0, "\(result.errors)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder("out")).sorted()
        #expect(names == ["name 1.png", "name 2.jpg"])
        #expect(result.output.split(separator: "\n").count == 2)
    }
}

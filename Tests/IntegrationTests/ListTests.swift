import Envelope
import JSON
import TestSupport
import Testing

/// Runs a bot that turns lists into several requests, against the emulated Telegram.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ListTests {
    private static let ann = BotEmulator.User(42, "Ann", username: "ann")

    /// The signs with which the bot shows what it does right now.
    private static let stepsOfProgress = ["⏳", "⬇️", "🎞", "📦 Storing", "⬆️"]

    private func bot(_ options: String = "") async throws -> MediaBot {
        try await MediaBot(
            ["tg-talk", "media-expand --allow-private \(options)"], fetch: "--concurrency 3 --per-user 3")
    }

    /// Waits until the bot shows nothing more but its results, and returns these.
    private func results(_ bot: MediaBot, videos count: Int) async throws -> [BotEmulator.Entry] {
        _ = try await bot.answer(in: 42) { entry in entry.message["video"] != nil }
        var answers: [BotEmulator.Entry] = []
        for _ in 0..<1500 {
            answers = try await bot.telegram.answers(in: 42)
            let videos = answers.filter { $0.message["video"] != nil }
            let isDone = answers.allSatisfy { answer in
                answer.message["video"] != nil || !Self.stepsOfProgress.contains { answer.text?.contains($0) != false }
            }
            if videos.count >= count, isDone { break }
            try await Task.sleep(for: .milliseconds(20))
        }
        return answers
    }

    @Test func `The videos of a feed come in order with one progress message, and what failed is listed at the end`()
        async throws
    {
        let bot = try await bot()
        let size = try bot.size(of: "large.mp4")
        // The first one takes eight seconds, in which progress messages are due at any pace; the others next to nothing.
        let link = "\(bot.site.url)/feed?of=One:slow/\(size / 8)/large.mp4&of=Two:status/404&of=Three:small.mp4"
        let request = try await bot.telegram.say(".vdl \(link)", as: Self.ann)
        let answers = try await results(bot, videos: 2)
        let videos = answers.filter { $0.message["video"] != nil }
        #expect(videos.map { $0.message["video"]?["height"]?.int } == [240, 120])
        #expect(videos.allSatisfy { $0.repliesTo == request })
        let texts = answers.compactMap(\.text)
        #expect(
            texts.count == 1 && texts[0] == "❌ Failed: 1 of 3\n2. Two: That no longer exists, or never did.", "\(texts)"
        )
        // The placeholder reply of the group, which became its last message.
        let replies = try await bot.telegram.calls("sendMessage")
        #expect(replies.count == 1, "\(replies.map { $0.text })")
        let shown = try await bot.telegram.calls("editMessageText").compactMap { $0["params"]?["text"]?.string }
        #expect(shown.contains { $0.hasPrefix("1/3 ⬇️") }, "\(shown)")
    }

    @Test func `A range selects videos of a feed, and the rest is offered`() async throws {
        let bot = try await bot("--max-items 2")
        let link = "\(bot.site.url)/feed?count=5000&path=small.mp4"
        try await bot.telegram.say(".vdl 4-9 \(link)", as: Self.ann)
        let answers = try await results(bot, videos: 2)
        #expect(answers.filter { $0.message["video"] != nil }.count == 2)
        let last = try await bot.answer(in: 42) { $0.text?.hasPrefix("📚") == true }
        #expect(last.text == "📚 There is more. For the next ones, send your request again with 6-7 before the link.")
        let paths = try await bot.site.requests().compactMap { $0["path"]?.string }
        #expect(Set(paths.filter { $0.hasPrefix("/small.mp4") }) == ["/small.mp4?n=4", "/small.mp4?n=5"])
    }

    @Test func `All videos of a post come, and each has an address of its own`() async throws {
        let bot = try await bot()
        let post = "\(bot.site.url)/several?of=large.mp4&of=small.mp4"
        try await bot.telegram.say(post, as: Self.ann)
        let answers = try await results(bot, videos: 2)
        #expect(answers.map { $0.message["video"]?["height"]?.int } == [240, 120])
        // The placeholder reply goes when nothing failed.
        #expect(answers.allSatisfy { $0.text == nil })
        try await bot.telegram.say(".vdl 2-2 \(post)", as: Self.ann)
        _ = try await results(bot, videos: 3)
        let sent = try await bot.telegram.answers(in: 42).filter { $0.message["video"] != nil }
        #expect(sent.last?.message["video"]?["height"]?.int == 120)
        let fetched = try await bot.site.requests().filter { $0["path"]?.string == "/small.mp4" }
        #expect(fetched.count == 1, "the second request was answered from the store")
    }

    @Test func `A page with one video is no list, and a range behind the end is told`() async throws {
        let bot = try await bot()
        try await bot.telegram.say(".vdl \(bot.page)", as: Self.ann)
        #expect(try await results(bot, videos: 1).count == 1)
        try await bot.telegram.say(".vdl 7-9 \(bot.site.url)/feed?of=One:small.mp4&of=Two:large.mp4", as: Self.ann)
        let failure = try await bot.answer(in: 42) { $0.text?.hasPrefix("❌") == true }
        #expect(failure.text == "❌ That list is shorter than the part you asked for: it has 2 videos.")
        try await bot.telegram.say(".vdl 5-1 \(bot.page)", as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.text?.hasPrefix("I do not understand “5-1”.") == true }
    }

    @Test func `A video over the limit comes in parts, in order, also as one of a list`() async throws {
        let bot = try await MediaBot(
            ["tg-talk", "media-expand --allow-private"], fetch: "--over-limit best",
            last: ["media-split --max-size 200K"])
        try bot.make("long.mp4", "-c:v libx264 -b:v 200k -g 10 -sc_threshold 0 -c:a aac -b:a 32k -movflags +faststart")
        #expect(try bot.size(of: "long.mp4") > 400 << 10)
        try await bot.telegram.say(".vdl \(bot.site.url)/long.mp4", as: Self.ann)
        let names = try await parts(bot)
        let count = names.count
        #expect(count >= 3)
        #expect(names == (1...count).map { "long (\($0) of \(count)).mp4" })
        let captions = try await bot.telegram.answers(in: 42).compactMap { $0.message["caption"]?.string }
        #expect(captions.first?.hasPrefix("long (1/\(count))\n") == true, "\(captions)")
        let first = try await bot.telegram.calls("sendVideo").count
        // The same again, beside a short one: by the cached files, and in the order of the list.
        try await bot.telegram.say(
            ".vdl \(bot.site.url)/feed?of=One:small.mp4&of=Two:long.mp4&of=Three:large.mp4", as: Self.ann)
        _ = try await results(bot, videos: 2 * count + 2)
        let calls = try await bot.telegram.calls("sendVideo").dropFirst(first)
        let titles = calls.compactMap {
            $0["params"]?["caption"]?.string?.split(separator: "\n").first.map(String.init)
        }
        #expect(titles == ["small"] + (1...count).map { "long (\($0)/\(count))" } + ["large"])
        #expect(try await bot.telegram.answers(in: 42).allSatisfy { $0.message["video"] != nil })
    }

    /// Waits for all parts of a video, and returns the names of their files.
    private func parts(_ bot: MediaBot) async throws -> [String] {
        for _ in 0..<1500 {
            let answers = try await bot.telegram.answers(in: 42)
            let names = answers.compactMap { $0.message["video"]?["file_name"]?.string }
            if let last = names.last, last.contains("(\(names.count) of \(names.count))"), answers.count == names.count
            {
                return names
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        return []
    }

    @Test func `One reason for all is told once`() async throws {
        let bot = try await bot()
        let link = "\(bot.site.url)/feed?of=One:status/403&of=Two:status/403"
        try await bot.telegram.say(".vdl \(link)", as: Self.ann)
        let failure = try await bot.answer(in: 42) { $0.text?.hasPrefix("❌") == true }
        #expect(failure.text == "❌ Failed: 2 of 2\nThe site refuses access to that (403).")
    }
}

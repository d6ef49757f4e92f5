import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Runs a bot that asks in which form media is wanted, against the emulated Telegram.
@Suite(.serialized, .timeLimit(.minutes(5))) struct AskTests {
    private static let ann = BotEmulator.User(42, "Ann", username: "ann")
    private static let bob = BotEmulator.User(43, "Bob", username: "bob")
    private static let group: Int64 = -1_000_000_000_700

    fileprivate final class Bot: Sendable {
        let telegram: BotEmulator
        let site: WebSite
        let folder: TemporaryFolder
        private let redis: RedisServer
        private let pipeline: SpawnedProgram

        init(wait: String = "60s", ask: String = "") async throws {
            redis = try RedisServer()
            folder = try TemporaryFolder()
            telegram = try BotEmulator()
            try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
            for (name, size) in [("small", "160x120"), ("large", "320x240")] {
                let clip =
                    "ffmpeg -loglevel error -f lavfi -i testsrc=d=2:s=\(size) -f lavfi -i sine=d=2 -shortest -pix_fmt yuv420p"
                guard try SpawnedProgram(["sh", "-c", "\(clip) \(folder("www/\(name).mp4"))"]).wait() == 0 else {
                    throw ToolRun.TookTooLong(description: "ffmpeg made no clip")
                }
            }
            site = try WebSite(root: folder("www"))
            var environment = telegram.environment
            environment["TGPIPE_REDIS"] = redis.address
            environment["TGPIPE_STATE"] = folder("state")
            environment["TGPIPE_STORE"] = "file:\(folder("store"))"
            environment["TG_ADMIN_ID"] = "42"
            environment["TGPIPE_LOG"] = "json:info"
            environment["PATH"] = "\(try PythonTools.binFolder()):/usr/local/bin:/usr/bin:/bin"
            environment["HOME"] = folder.path
            let (bin, log) = (ToolRun.path(of: ""), folder("log"))
            let published = ["commands.#", "events.telegram.raw", "events.access.denied"]
            let stages = [
                "tg-listen --bot", "tg-gate \(published.map { "--subscribe '\($0)'" }.joined(separator: " "))",
                "tg-talk",
                "media-ask --allow-private --wait \(wait) \(ask)", "media-fetch --allow-private", "blob-put",
                "tg-send --progress-interval 100ms",
            ].map { "\(bin)\($0) 2>>\(log).\($0.prefix { $0 != " " })" }
            let variables = environment.map { "\($0)='\($1)'" }.joined(separator: " ")
            let script = "export \(variables); \(stages.joined(separator: " | ")) >\(folder("out.ndjson"))"
            pipeline = try SpawnedProgram(["sh", "-c", script])
        }

        deinit {
            let pids = try? SpawnedProgram.output(of: ["pgrep", "-P", "\(pipeline.processIdentifier)"])
            for pid in (pids ?? "").split(separator: "\n").compactMap({ pid_t($0) }) { kill(pid, SIGTERM) }
            pipeline.wait()
        }

        var page: String { "\(site.url)/choice/film?at=120:small.mp4&at=240:large.mp4" }

        /// Waits until one of the bot's standing answers in a chat fulfils a condition.
        func answer(in chat: Int64, where isIt: (BotEmulator.Entry) -> Bool) async throws -> BotEmulator.Entry {
            let end = ContinuousClock.now + .seconds(60)
            while true {
                let answers = try await telegram.answers(in: chat)
                if let answer = answers.last(where: isIt) { return answer }
                guard ContinuousClock.now < end else {
                    throw ToolRun.TookTooLong(description: "no such answer: \(answers.map { $0.json.text })")
                }
                try await Task.sleep(for: .milliseconds(20))
            }
        }

        func question(in chat: Int64) async throws -> BotEmulator.Entry {
            try await answer(in: chat) { !$0.buttons.isEmpty }
        }

        /// Waits for the answer to the press of a button.
        func toast(of query: String) async throws -> String? {
            let end = ContinuousClock.now + .seconds(30)
            while ContinuousClock.now < end {
                let calls = try await telegram.calls("answerCallbackQuery")
                if let call = calls.first(where: { $0["params"]?["callback_query_id"]?.string == query }) {
                    return call["params"]?["text"]?.string
                }
                try await Task.sleep(for: .milliseconds(20))
            }
            return nil
        }
    }

    @Test func `A pressed button chooses the form, and the keyboard goes`() async throws {
        let bot = try await Bot()
        let request = try await bot.telegram.say(".vdl? \(bot.page)", as: Self.ann)
        let question = try await bot.question(in: 42)
        #expect(question.text?.contains("What would you like?") == true && question.repliesTo == request)
        let labels = question.buttons.compactMap { $0["text"]?.string }
        #expect(labels == ["The best", "240p", "120p", "🎵 Sound"])
        let query = try await bot.telegram.press("120p", of: question.id, in: 42, as: Self.ann)
        #expect(try await bot.toast(of: query) == "On it.")
        let sent = try await bot.answer(in: 42) { $0.message["video"] != nil }
        #expect(sent.message["video"]?["height"]?.int == 120 && sent.repliesTo == request)
        // The question has been removed with the placeholder reply.
        for _ in 0..<500 where try await bot.telegram.answers(in: 42).count > 1 {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try await bot.telegram.answers(in: 42).count == 1)
    }

    @Test func `Sound can be chosen, and does not answer for the video`() async throws {
        let bot = try await Bot(ask: "--ask")
        try await bot.telegram.say(".vdl \(bot.page)", as: Self.ann)
        let first = try await bot.question(in: 42)
        try await bot.telegram.press("Sound", of: first.id, in: 42, as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.message["audio"] != nil }
        try await bot.telegram.say("/vdl \(bot.page)", as: Self.ann)
        let second = try await bot.question(in: 42)
        try await bot.telegram.press("best", of: second.id, in: 42, as: Self.ann)
        let sent = try await bot.answer(in: 42) { $0.message["video"] != nil }
        #expect(sent.message["video"]?["height"]?.int == 240)
    }

    @Test func `Without an answer the best form comes, also for a bare link`() async throws {
        let bot = try await Bot(wait: "2s", ask: "--ask")
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
        let bot = try await Bot()
        try await bot.telegram.say(".grace", as: Self.ann, chat: Self.group)
        try await bot.telegram.say(".vdl? \(bot.page)", as: Self.ann, chat: Self.group)
        let question = try await bot.question(in: Self.group)
        let foreign = try await bot.telegram.press("120p", of: question.id, in: Self.group, as: Self.bob)
        #expect(try await bot.toast(of: foreign) == "Only the person who asked can choose.")
        let data = try #require(question.buttons.first?["callback_data"]?.string)
        let swapped = String(data.dropLast(24)) + "A" + String(data.dropLast(0).suffix(23))
        let other = try await bot.telegram.say("hello", as: Self.ann)
        let forgeries: [(String, JSON)] = [
            ("c1:AAAA", question.message), (swapped, question.message),
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
        let bot = try await Bot()
        try await bot.telegram.say("/ask on", as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.text == "From now on I ask what you would like." }
        try await bot.telegram.say(".vdl 120 \(bot.page)", as: Self.ann)
        let sent = try await bot.answer(in: 42) { $0.message["video"] != nil }
        #expect(sent.message["video"]?["height"]?.int == 120)
        try await bot.telegram.say(".vdl \(bot.page)", as: Self.ann)
        let question = try await bot.question(in: 42)
        try await bot.telegram.press("best", of: question.id, in: 42, as: Self.ann)
        _ = try await bot.answer(in: 42) { $0.message["video"]?["height"]?.int == 240 }
    }

    @Test func `A request that cannot be described goes on, and its failure is told`() async throws {
        let bot = try await Bot()
        try await bot.telegram.say(".vdl? \(bot.site.url)/status/404", as: Self.ann)
        let failure = try await bot.answer(in: 42) { $0.text?.hasPrefix("❌") == true }
        #expect(failure.buttons.isEmpty)
    }
}

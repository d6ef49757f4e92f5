import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// The whole pipeline over pipes, with the emulated Telegram on both ends: as a bot, and as an account.
@Suite(.serialized, .timeLimit(.minutes(5))) struct PipelineTests {
    private static let ann = BotEmulator.User(42, "Ann", username: "ann")
    private static let bob = BotEmulator.User(43, "Bob", username: "bob")

    enum Backend: CaseIterable { case bot, account }

    /// A running pipeline with what it needs.
    fileprivate final class Bot: Sendable {
        let telegram: BotEmulator
        let site: WebSite
        let redis: RedisServer
        let s3: S3Server?
        let folder: TemporaryFolder
        private let pipeline: SpawnedProgram
        /// The process that owns the account, if there is one.
        private let owner: SpawnedProgram?

        init(_ backend: Backend, store: S3Server? = nil, fetch: String = "--allow-private") async throws {
            redis = try RedisServer()
            folder = try TemporaryFolder()
            telegram =
                switch backend {
                case .bot: try BotEmulator()
                case .account: try await BotEmulator(asAccountIn: folder)
                }
            s3 = store
            try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
            let clip =
                "ffmpeg -loglevel error -f lavfi -i testsrc=d=2:s=160x120 -f lavfi -i sine=d=2 -shortest -pix_fmt yuv420p"
            guard try SpawnedProgram(["sh", "-c", "\(clip) \(folder("www/clip.mp4"))"]).wait() == 0 else {
                throw ToolRun.TookTooLong(description: "ffmpeg made no clip")
            }
            site = try WebSite(root: folder("www"))
            var environment = telegram.environment
            environment.merge(store?.environment ?? [:]) { $1 }
            environment["TGPIPE_REDIS"] = redis.address
            environment["TGPIPE_STATE"] = folder("state")
            environment["TGPIPE_STORE"] = store == nil ? "file:\(folder("store"))" : "s3://pipeline"
            environment["TG_ADMIN_ID"] = "42"
            environment["TGPIPE_LOG"] = "json:info"
            environment["PATH"] = "\(try PythonTools.binFolder()):/usr/local/bin:/usr/bin:/bin"
            environment["HOME"] = folder.path
            let bin = ToolRun.path(of: "")
            let log = folder("log")
            let stages = [
                "tg-listen \(backend == .bot ? "--bot" : "--session desk") 2>>\(log).listen", "tg-gate 2>>\(log).gate",
                "ratelimit -m 'commands.media.#' -n 3 -w 60s --exempt-role admin 2>>\(log).ratelimit",
                "media-fetch \(fetch) --concurrency 4 2>>\(log).fetch",
                "blob-put \(store == nil ? "" : "--create-bucket") 2>>\(log).put",
                "tg-send --progress-interval 500ms 2>>\(log).send",
            ].map { "\(bin)\($0)" }
            let variables = environment.map { "\($0)='\($1)'" }.joined(separator: " ")
            owner = try await Bot.owner(backend, variables, folder)
            // The shell's own pipe: ending the listener ends the rest in order.
            let script =
                "\(variables.isEmpty ? "" : "export \(variables);") \(stages.joined(separator: " | ")) >\(folder("out.ndjson"))"
            pipeline = try SpawnedProgram(["sh", "-c", script])
            _ = try await eventuallyAsync { [telegram] in try await telegram.isListenedTo() }
        }

        deinit { stop() }

        /// Starts the process that owns the account for all stages.
        private static func owner(
            _ backend: Backend, _ variables: String, _ folder: TemporaryFolder
        ) async throws -> SpawnedProgram? {
            guard backend == .account else { return nil }
            let program = ToolRun.path(of: "tg-session")
            let owner = try SpawnedProgram([
                "sh", "-c", "export \(variables); exec \(program) run desk 2>>\(folder("log")).session",
            ])
            let isThere = try await eventually {
                FileManager.default.fileExists(atPath: folder("state/sessions/desk.sock"))
            }
            guard isThere else { throw ToolRun.TookTooLong(description: "tg-session does not run") }
            return owner
        }

        /// Ends the listener; the other stages then end one after another.
        func stop() {
            let pids = try? SpawnedProgram.output(of: ["pgrep", "-P", "\(pipeline.processIdentifier)"])
            for pid in (pids ?? "").split(separator: "\n").compactMap({ pid_t($0) }) { kill(pid, SIGTERM) }
            pipeline.wait()
            guard let owner else { return }
            kill(owner.processIdentifier, SIGTERM)
            owner.wait()
        }

        var results: [Envelope] {
            get throws {
                try String(contentsOfFile: folder("out.ndjson"), encoding: .utf8).split(separator: "\n").map {
                    try Envelope(try JSON(parsing: String($0)))
                }
            }
        }

        /// Waits until the bot's standing answers in a chat fulfil a condition.
        func answers(in chat: Int64, until isThere: ([BotEmulator.Entry]) -> Bool) async throws -> [BotEmulator.Entry] {
            let end = ContinuousClock.now + .seconds(60)
            while true {
                let answers = try await telegram.answers(in: chat)
                if isThere(answers) { return answers }
                guard ContinuousClock.now < end else {
                    throw ToolRun.TookTooLong(description: "no such answer: \(answers.map { $0.json.text })")
                }
                try await Task.sleep(for: .milliseconds(20))
            }
        }

        func media(in chat: Int64, count: Int) async throws -> [BotEmulator.Entry] {
            try await answers(in: chat) { $0.filter { $0.caption != nil }.count == count && $0.count == count }
        }
    }

    @Test(arguments: Backend.allCases) func `A video is fetched, stored and sent, and served from the cache afterwards`(
        _ backend: Backend
    ) async throws {
        let bot = try await Bot(backend)
        let command = ".vdl \(bot.site.url)/clip.mp4"
        let first = try await bot.telegram.say(command, as: Self.ann)
        let answers = try await bot.media(in: 42, count: 1)
        #expect(answers[0].message["video"]?["duration"] == 2)
        #expect(answers[0].repliesTo == first)
        #expect(try await bot.telegram.chat(42).contains { $0.isBots && $0.isDeleted && $0.text == "⏳ On it…" })
        try await bot.telegram.say("\(command)?utm_source=x#t=3", as: Self.ann)
        _ = try await bot.media(in: 42, count: 2)
        #expect(try await bot.site.requests("/clip.mp4").count == 1)
        #expect(try await bot.telegram.uploads() == 1)
        bot.stop()
        #expect(try bot.results.filter { $0.type == "events.telegram.sent" }.count == 2)
        #expect(try await bot.telegram.violations() == [])
    }

    @Test(arguments: Backend.allCases) func `Audio is extracted from the stored video`(_ backend: Backend) async throws
    {
        let bot = try await Bot(backend)
        try await bot.telegram.say(".vdl \(bot.site.url)/clip.mp4", as: Self.ann)
        _ = try await bot.media(in: 42, count: 1)
        try await bot.telegram.say(".adl \(bot.site.url)/clip.mp4", as: Self.ann)
        let answers = try await bot.media(in: 42, count: 2)
        #expect(answers[1].message["audio"]?["mime_type"] == "audio/mpeg")
        #expect(try await bot.site.requests("/clip.mp4").count == 1)
    }

    @Test(arguments: Backend.allCases) func `A page's video goes through yt-dlp into a real S3 server`(
        _ backend: Backend
    ) async throws {
        let s3 = try S3Server()
        let bot = try await Bot(backend, store: s3)
        try await bot.telegram.say(".vdl \(bot.site.url)/page/clip.mp4", as: Self.ann)
        _ = try await bot.media(in: 42, count: 1)
        bot.stop()
        let sent = try #require(try bot.results.first { $0.type == "events.telegram.sent" })
        let key = try #require(sent.payload["key"]?.string)
        #expect(key.hasPrefix("video/") && key.hasSuffix(".mp4"))
        try FileManager.default.removeItem(atPath: bot.folder("state/media"))
        try bot.redis.cli("FLUSHALL")
        let again = try Bot.again(bot, s3)
        #expect(again["key"]?.string == key)
        #expect(again["url"]?.string?.contains("X-Amz-Signature=") == true)
        #expect(again["cached"] == true && again["source_url"]?.string == "\(bot.site.url)/page/clip.mp4")
    }

    @Test(arguments: Backend.allCases) func `A file in a message is sent back as video`(_ backend: Backend) async throws
    {
        let bot = try await Bot(backend)
        let file = try await bot.telegram.sendFile(bot.folder("www/clip.mp4"), kind: "document", as: Self.ann)
        try await bot.telegram.say(".vdl", as: Self.ann, replyTo: file)
        let answers = try await bot.media(in: 42, count: 1)
        #expect(answers[0].message["video"] != nil)
    }

    @Test(arguments: Backend.allCases) func `A failure is reported to the chat in one line`(_ backend: Backend)
        async throws
    {
        let bot = try await Bot(backend)
        for path in ["status/404", "status/403", "clip.txt"] {
            try await bot.telegram.say(".vdl \(bot.site.url)/\(path)", as: Self.ann)
        }
        let answers = try await bot.answers(in: 42) {
            $0.filter { ($0.edits.last ?? $0.text ?? "").hasPrefix("❌") }.count == 3
        }
        for answer in answers {
            let text = answer.edits.last ?? answer.text ?? ""
            #expect(text.hasPrefix("❌ ") && !text.contains("\n") && text.count < 300)
        }
    }

    @Test(arguments: Backend.allCases) func `Without permission no private address is reached`(_ backend: Backend)
        async throws
    {
        let bot = try await Bot(backend, fetch: "")
        try await bot.telegram.say(".vdl \(bot.site.url)/clip.mp4", as: Self.ann)
        let answers = try await bot.answers(in: 42) { $0.contains { ($0.edits.last ?? $0.text ?? "").hasPrefix("❌") } }
        #expect(answers.count == 1)
        #expect(try await bot.site.requests().isEmpty)
    }

    @Test(arguments: Backend.allCases) func `Unauthorised users are ignored until blessed, then rate limited`(
        _ backend: Backend
    )
        async throws
    {
        let bot = try await Bot(backend)
        let command = ".vdl \(bot.site.url)/clip.mp4"
        try await bot.telegram.say(command, as: Self.bob)
        let bless = try await bot.telegram.say(".bless @bob", as: Self.ann)
        _ = try await bot.answers(in: 42) { _ in true }
        #expect(
            try await eventuallyAsync {
                try await bot.telegram.chat(42).first { $0.id == bless }?.reactions == ["👍"]
            })
        #expect(try await bot.telegram.answers(in: 43).isEmpty)
        for _ in 0..<4 { try await bot.telegram.say(command, as: Self.bob) }
        let answers = try await bot.answers(in: 43) { $0.count == 4 && $0.filter { $0.caption != nil }.count == 3 }
        #expect(answers.contains { $0.text?.hasPrefix("❌ Too many requests: try again in ") == true })
    }

    @Test func `Requests that fail do not use up a person's limit`() async throws {
        let bot = try await Bot(.bot)
        _ = try bot.redis.cli("SET", "tgpipe:{access}:bless:43", "{}")
        // The limit is three requests a minute.
        for number in 1...4 {
            try await bot.telegram.say(".vdl \(bot.site.url)/status/404?\(number)", as: Self.bob)
            let answers = try await bot.answers(in: 43) {
                $0.filter { ($0.edits.last ?? $0.text ?? "").hasPrefix("❌") }.count == number
            }
            #expect(answers.allSatisfy { !($0.edits.last ?? $0.text ?? "").contains("Too many requests") })
        }
        try await bot.telegram.say(".vdl \(bot.site.url)/clip.mp4", as: Self.bob)
        _ = try await bot.answers(in: 43) { $0.contains { $0.caption != nil } }
    }

    @Test(arguments: Backend.allCases) func `Every log line of a request carries its correlation id`(_ backend: Backend)
        async throws
    {
        let bot = try await Bot(backend)
        try await bot.telegram.say(".vdl \(bot.site.url)/clip.mp4", as: Self.ann)
        let caption = try await bot.media(in: 42, count: 1)[0].caption ?? ""
        bot.stop()
        let correlation = try #require(caption.split(separator: " ").last.map(String.init))
        for stage in ["listen", "gate", "fetch", "put", "send"] {
            let log = try String(contentsOfFile: bot.folder("log.\(stage)"), encoding: .utf8)
            #expect(log.contains("\"correlation_id\":\"\(correlation)\""), "\(stage)")
            #expect(!log.contains("TEST-token"))
        }
    }
}

extension PipelineTests.Bot {
    /// Requests the same page again from a `media-fetch` that knows only the store.
    fileprivate static func again(_ bot: PipelineTests.Bot, _ s3: S3Server) throws -> JSONObject {
        let event = Envelope(
            type: "commands.media.video_download", payload: ["url": .string("\(bot.site.url)/page/clip.mp4")])
        let file = bot.folder("again.ndjson")
        try Data(event.line).write(to: URL(fileURLWithPath: file))
        let variables = s3.environment.map { "\($0)='\($1)'" }.joined(separator: " ")
        let output = try SpawnedProgram.output(of: [
            "sh", "-c",
            "\(variables) TGPIPE_REDIS=\(bot.redis.address) TGPIPE_STATE=\(bot.folder("state2")) \(ToolRun.path(of: "media-fetch")) --allow-private --store s3://pipeline <\(file) 2>/dev/null",
        ])
        // On a busy machine, progress comes first.
        let result = try #require(output.split(separator: "\n").last)
        return try #require(try JSON(parsing: String(result)).object?["payload"]?.object)
    }
}

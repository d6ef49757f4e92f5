import Foundation
import JSON
import TestSupport
import Testing

/// A running bot or account with all stages of `examples/media-bot.sh` in one pipe, and what they need.
final class ChatFixture: Sendable {
    enum Backend: CaseIterable { case bot, account }

    static let ann = BotEmulator.User(42, "Ann", username: "ann")
    static let bob = BotEmulator.User(43, "Bob", username: "bob")
    static let group: Int64 = -1_000_000_000_700

    let telegram: BotEmulator
    let site: WebSite
    let redis: RedisServer
    let folder: TemporaryFolder
    private let pipeline: SpawnedProgram
    /// The process that owns the account, if there is one.
    private let owner: SpawnedProgram?

    init(_ backend: Backend = .bot, fetch: String = "", ask: String = "", turns: String = "--per-user 4") async throws {
        redis = try RedisServer()
        folder = try TemporaryFolder()
        telegram =
            switch backend {
            case .bot: try BotEmulator()
            case .account: try await BotEmulator(asAccountIn: folder)
            }
        try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
        try Data(repeating: 7, count: 400_000).write(to: URL(fileURLWithPath: folder("www/file.bin")))
        site = try WebSite(root: folder("www"))
        var environment = telegram.environment
        environment["TGPIPE_REDIS"] = redis.address
        environment["TGPIPE_STATE"] = folder("state")
        environment["TGPIPE_STORE"] = "file:\(folder("store"))"
        environment["TG_ADMIN_ID"] = "42"
        environment["TGPIPE_LOG"] = "json:info"
        environment["PATH"] = "\(try PythonTools.binFolder()):/usr/local/bin:/usr/bin:/bin"
        environment["HOME"] = folder.path
        let variables = environment.map { "\($0)='\($1)'" }.joined(separator: " ")
        let (bin, log) = (ToolRun.path(of: ""), folder("log"))
        let published = ["commands.#", "events.telegram.raw", "events.access.denied"]
        let stages = [
            "tg-listen \(backend == .bot ? "--bot" : "--session desk")",
            "tg-gate \(published.map { "--subscribe '\($0)'" }.joined(separator: " "))", "tg-talk --no-menu",
            "ratelimit -m 'commands.media.#' -n 20 -w 60s --exempt-role none", "media-ask --allow-private \(ask)",
            "media-turns --report 1s \(turns)",
            "media-fetch --allow-private --min-rate 1 --concurrency 4 \(fetch)", "blob-put",
            "tg-send --progress-interval 100ms --cancel-buttons",
        ].map { "\(bin)\($0) 2>>\(log).\($0.prefix { $0 != " " })" }
        owner = try await ChatFixture.owner(backend, variables, folder)
        // The shell's own pipe: ending the listener ends the rest in order.
        let script = "export \(variables); \(stages.joined(separator: " | ")) >\(folder("out.ndjson"))"
        pipeline = try SpawnedProgram(["sh", "-c", script])
        _ = try await eventuallyAsync { [telegram] in try await telegram.isListenedTo() }
    }

    deinit { stop() }

    /// Starts the process that owns the account for all stages.
    private static func owner(
        _ backend: Backend, _ variables: String, _ folder: TemporaryFolder
    ) async throws -> SpawnedProgram? {
        guard backend == .account else { return nil }
        let owner = try SpawnedProgram([
            "sh", "-c",
            "export \(variables); exec \(ToolRun.path(of: "tg-session")) run desk 2>>\(folder("log")).session",
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

    // MARK: What the chat shows

    /// Waits until one of the bot's standing answers in a chat fulfils a condition.
    func answer(
        in chat: Int64 = 42, _ what: String = "answer", where isIt: (BotEmulator.Entry) -> Bool
    ) async throws -> BotEmulator.Entry {
        try await telegram.answer(in: chat, what, where: isIt)
    }

    /// Waits for the reply that shows the progress of the download for a message.
    func progress(of message: Int64, in chat: Int64 = 42) async throws -> BotEmulator.Entry {
        try await answer(in: chat, "progress") {
            $0.repliesTo == message && ($0.shownText.hasPrefix("⬇️") || $0.shownText.hasPrefix("⏳"))
        }
    }

    /// Waits until a message shows a text.
    func waitFor(_ text: String, in message: Int64, chat: Int64 = 42) async throws -> BotEmulator.Entry {
        try await answer(in: chat, text) { $0.id == message && $0.shownText == text }
    }

    /// Waits for the answer to the press of a button.
    func toast(of query: String) async throws -> String? { try await telegram.toast(of: query) }

    /// The link to a file that takes a minute and more.
    func slow(_ number: Int = 0) -> String { "\(site.url)/slow/4000/file.bin?\(number)" }

    /// Waits until the site has been asked for a file a number of times.
    func waitForDownload(_ number: Int = 0, times: Int = 1) async throws {
        #expect(
            try await eventuallyAsync {
                try await site.requests().count { $0["path"]?.string == "/slow/4000/file.bin?\(number)" } >= times
            })
    }

    /// The names of partial downloads.
    var partials: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder("state/media/fetch"))) ?? []
        return names.filter { $0.utf8.count == 64 }
    }

    /// Waits until nothing of any download is left: no partial file, and no claim in Redis.
    func expectNothingLeft() async throws {
        #expect(try await eventually { partials.isEmpty })
        #expect(try await eventually { try redis.cli("KEYS", "*:owner").isEmpty })
    }
}

extension BotEmulator.Entry {
    /// The text as it is now, after all edits.
    var shownText: String { edits.last ?? text ?? "" }
}

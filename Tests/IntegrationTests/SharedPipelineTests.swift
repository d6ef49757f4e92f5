import Envelope
import Foundation
import JSON
import Process
import TestSupport
import Testing

/// Tests two hundred simultaneous requests for the same media, over queues, with two processes for each stage.
@Suite(.serialized, .timeLimit(.minutes(4))) struct SharedPipelineTests {
    private let telegram: BotEmulator
    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let site: WebSite
    private let chats = Int64(1001)...1200

    init() async throws {
        telegram = try BotEmulator()
        redis = try RedisServer()
        folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
        try Data(repeating: 7, count: 400_000).write(to: URL(fileURLWithPath: folder("www/file.bin")))
        site = try WebSite(root: folder("www"))
        for chat in chats { try await telegram.say("x", as: BotEmulator.User(chat, "User")) }
    }

    private enum Stage: CaseIterable { case fetch, put, send }

    private func start(_ stage: Stage) throws -> ToolRun {
        let store = ["--store", "file:\(folder("store"))", "--lease", "1s"]
        let (tool, arguments) =
            switch stage {
            case .fetch: ("media-fetch", ["--from", "queue:media", "--to", "queue:fetched", "--allow-private"] + store)
            case .put: ("blob-put", ["--from", "queue:fetched", "--to", "queue:send"] + store)
            case .send: ("tg-send", ["--from", "queue:send", "--to", "queue:sent", "--lease", "1s", "--no-pacing"])
            }
        return try ToolRun(
            tool, arguments, environment: telegram.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 },
            folder: folder)
    }

    private func ask(for path: String) async throws {
        let commands = chats.map { chat in
            Envelope(
                type: "commands.media.video_download", payload: ["url": .string("\(site.url)/\(path)")],
                meta: ["origin": ["chat_id": .integer(chat), "message_id": 1, "chat_type": "private"]])
        }
        let result = try await ToolRun.run(
            "blob-put", ["--to", "queue:media", "--store", "file:\(folder("store"))"], bytes: commands.flatMap(\.line),
            environment: ["TGPIPE_REDIS": redis.address], folder: folder)
        #expect(result.status == 0)
    }

    /// Returns the number of chats with a matching answer, and the number of answers beyond the first in each chat.
    private func answered(_ isAnswer: (BotEmulator.Entry) -> Bool) async throws -> (chats: Int, doubles: Int) {
        var (count, doubles) = (0, 0)
        for chat in chats {
            let answers = try await telegram.answers(in: chat).filter(isAnswer).count
            count += min(1, answers)
            doubles += max(0, answers - 1)
        }
        return (count, doubles)
    }

    private func waitUntilAllAreAnswered(
        _ isAnswer: (BotEmulator.Entry) -> Bool
    ) async throws -> (chats: Int, doubles: Int) {
        let end = ContinuousClock.now + .seconds(120)
        while true {
            let now = try await answered(isAnswer)
            if now.chats == chats.count || ContinuousClock.now > end { return now }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private func isFailure(_ entry: BotEmulator.Entry) -> Bool {
        (entry.edits.last ?? entry.text ?? "").hasPrefix("❌")
    }

    private func fetches(_ path: String) async throws -> Int { try await site.requests("/\(path)").count }

    private func uploads() async throws -> Int {
        let calls = try await telegram.calls("sendVideo") + telegram.calls("sendDocument")
        return calls.filter { ($0["params"]?["video"] ?? $0["params"]?["document"])?.string == nil }.count
    }

    private func end(_ runs: [ToolRun]) async throws {
        for run in runs { run.signal(SIGTERM) }
        for run in runs { #expect(try await run.result().status == 0) }
    }

    @Test func `200 requests for one source cause one fetch, one object, one upload and 200 messages`() async throws {
        let path = "slow/400000/file.bin"
        try await ask(for: path)
        let runs = try Stage.allCases.flatMap { stage in try (0..<2).map { _ in try start(stage) } }
        let all = try await waitUntilAllAreAnswered { $0.message["document"] != nil || $0.message["video"] != nil }
        #expect(all.chats == chats.count && all.doubles == 0)
        try await end(runs)
        #expect(try await fetches(path) == 1)
        #expect(runs.map { $0.log.components(separatedBy: "\"stored video/").count - 1 }.reduce(0, +) == 1)
        #expect(try await uploads() == 1)
        // Nothing else is left standing in the chats.
        #expect(try await answered { _ in true }.doubles == 0)
    }

    @Test func `One failure is reported to all 200 requests`() async throws {
        try await ask(for: "status/404")
        let runs = try Stage.allCases.flatMap { stage in try (0..<2).map { _ in try start(stage) } }
        let all = try await waitUntilAllAreAnswered(isFailure)
        #expect(all.chats == chats.count && all.doubles == 0)
        try await end(runs)
        let requests = try await fetches("status/404")
        #expect(requests < 10)
    }

    @Test func `Killing workers leaves no request unanswered`() async throws {
        let path = "slow/200000/file.bin"
        try await ask(for: path)
        var runs = try Stage.allCases.map { ($0, try start($0)) }
        for round in 0..<9 {
            try await Task.sleep(for: .milliseconds(.random(in: 100...900)))
            let (stage, run) = runs[round % runs.count]
            run.signal(SIGKILL)
            _ = try await run.result()
            runs[round % runs.count] = (stage, try start(stage))
        }
        let all = try await waitUntilAllAreAnswered { $0.message["document"] != nil || $0.message["video"] != nil }
        #expect(all.chats == chats.count)
        // What a killed sender had under way between Telegram's answer and its note: at most what it does at once.
        #expect(all.doubles <= 3 * 8)
        try await end(runs.map(\.1))
        // One more for each fetcher that was killed.
        #expect(try await fetches(path) <= 4)
        #expect(try redis.cli("KEYS", "*:owner").isEmpty)
    }
}

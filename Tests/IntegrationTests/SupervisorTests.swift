import Foundation
import TestSupport
import Testing

/// Ends `examples/media-bot.sh` in every way, and starts it again.
@Suite(.serialized, .timeLimit(.minutes(5))) struct SupervisorTests {
    private static let stages = [
        "tg-listen", "tg-gate", "tg-talk", "ratelimit", "media-ask", "media-expand", "media-turns", "ev-route",
        "media-fetch", "blob-put", "tg-send",
    ]
    private let telegram: BotEmulator
    private let redis: RedisServer
    private let folder: TemporaryFolder

    init() throws {
        telegram = try BotEmulator()
        redis = try RedisServer()
        folder = try TemporaryFolder()
    }

    private func start() throws -> SpawnedProgram {
        var environment = telegram.environment
        environment["TGPIPE_STATE"] = folder("state")
        environment["TGPIPE_REDIS"] = redis.address
        environment["TGPIPE_BIN"] = ToolRun.path(of: "").dropLast().description
        environment["TG_ADMIN_ID"] = "42"
        environment["TGPIPE_LOG"] = "json:info"
        environment["PATH"] = "\(try PythonTools.binFolder()):/usr/local/bin:/usr/bin:/bin"
        environment["HOME"] = folder.path
        let variables = environment.map { "\($0)='\($1)'" }.joined(separator: " ")
        let program = "\(testFolder)/../examples/media-bot.sh"
        return try SpawnedProgram(["sh", "-c", "exec env \(variables) \(program) 2>>\(folder("log"))"])
    }

    private func process(of stage: String) -> Int32? {
        (try? String(contentsOfFile: folder("state/run/\(stage).pid"), encoding: .utf8))
            .flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    /// Starts the bot and waits until it answers.
    private func startedBot() async throws -> SpawnedProgram {
        let bot = try start()
        let before = try await telegram.answers(in: 42).count
        try await telegram.say(".whoami", as: BotEmulator.User(42, "Ann"))
        #expect(try await eventuallyAsync { try await telegram.answers(in: 42).count > before })
        return bot
    }

    /// Returns the stages that still run.
    private func running(_ processes: [Int32]) -> Int { processes.count { kill($0, 0) == 0 } }

    private var processes: [Int32] { Self.stages.compactMap { process(of: $0) } }

    @Test(arguments: stages)
    func `The death of a stage ends the bot, and the next run is clean`(_ stage: String) async throws {
        let bot = try await startedBot()
        let processes = processes
        #expect(processes.count == Self.stages.count)
        kill(try #require(process(of: stage)), SIGKILL)
        #expect(bot.wait() == 128 + SIGKILL)
        #expect(running(processes) == 0)
        let next = try await startedBot()
        next.signal(SIGTERM)
        #expect(next.wait() == 0)
        #expect(running(self.processes) == 0)
    }

    @Test(arguments: [[SIGTERM], [SIGINT], [SIGHUP], [SIGTERM, SIGTERM], [SIGINT, SIGTERM]])
    func `A signal at any moment ends every stage`(_ signals: [Int32]) async throws {
        for _ in 0..<3 {
            let bot = try start()
            try await Task.sleep(for: .milliseconds(Int.random(in: 100...900)))
            let processes = processes
            for number in signals {
                bot.signal(number)
                try await Task.sleep(for: .milliseconds(50))
            }
            _ = bot.wait()
            #expect(running(processes) == 0)
        }
        let next = try await startedBot()
        next.signal(SIGTERM)
        #expect(next.wait() == 0)
    }

    @Test func `The stages of a script that was killed end by themselves, and the next run waits for them`()
        async throws
    {
        let bot = try await startedBot()
        let processes = processes
        bot.signal(SIGKILL)
        _ = bot.wait()
        // The stages of the first run may still answer while they end.
        let next = try start()
        #expect(try await eventually { running(processes) == 0 })
        #expect(
            try await eventually {
                self.processes.count == Self.stages.count && Set(self.processes).isDisjoint(with: processes)
            })
        next.signal(SIGTERM)
        #expect(next.wait() == 0)
    }

    @Test func `A second bot in the same folder is refused`() async throws {
        let bot = try await startedBot()
        #expect(try start().wait() == 75)
        bot.signal(SIGTERM)
        #expect(bot.wait() == 0)
    }
}

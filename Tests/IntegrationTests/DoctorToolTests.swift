import Foundation
import JSON
import TestSupport
import Testing

/// Runs `tgpipe-doctor` against real services and an emulated Telegram.
@Suite(.timeLimit(.minutes(3))) struct DoctorToolTests {
    private let telegram: BotEmulator
    private let redis: RedisServer
    private let folder: TemporaryFolder

    init() throws {
        telegram = try BotEmulator()
        redis = try RedisServer()
        folder = try TemporaryFolder()
    }

    private func run(_ arguments: [String], _ more: [String: String] = [:]) async throws -> ToolRun.Result {
        let environment = telegram.environment.merging(
            ["TGPIPE_REDIS": redis.address, "TG_ADMIN_ID": "42", "TGPIPE_STORE": "file:\(folder("store"))"]
        ) { $1 }
        return try await ToolRun.run(
            "tgpipe-doctor", ["--json"] + arguments, environment: environment.merging(more) { $1 }, folder: folder)
    }

    private func findings(_ result: ToolRun.Result, level: String) throws -> [String] {
        try result.lines.map { try JSON(parsing: $0) }.filter { $0["level"]?.string == level }
            .compactMap { $0["check"]?.string }
    }

    @Test func `Nothing is wrong with a bot that works, and nothing is left behind`() async throws {
        let result = try await run([])
        #expect(result.status == 0, "\(result.output)")
        #expect(try findings(result, level: "error") == [])
        let checks = try Set(result.lines.compactMap { try JSON(parsing: $0)["check"]?.string })
        #expect(checks == ["settings", "state", "clock", "redis", "queues", "store", "telegram", "programs", "jail"])
        #expect(result.output.contains("@test_bot"))
        let left =
            FileManager.default.enumerator(atPath: folder("store"))?.allObjects.compactMap { $0 as? String } ?? []
        #expect(!left.contains { $0.contains("tgpipe-doctor/") }, "\(left)")
        #expect(!FileManager.default.fileExists(atPath: folder("state/doctor")))
    }

    @Test func `A reader that has seen enough is no fault`() throws {
        let variables = telegram.environment.merging(
            [
                "TGPIPE_REDIS": redis.address, "TG_ADMIN_ID": "42", "TGPIPE_STORE": "file:\(folder("store"))",
                "TGPIPE_STATE": folder("state"), "HOME": folder.path,
                "PATH": "\(try PythonTools.binFolder()):/usr/local/bin:/usr/bin:/bin",
            ]) { $1 }
        // The reader ends before the second line is written.
        let script =
            "{ \(ToolRun.path(of: "tgpipe-doctor")); echo status $? >&2; } 2>\(folder("errors")) | { read -r line; }"
        let words = variables.map { "\($0)=\($1)" }
        #expect(try SpawnedProgram(["env"] + words + ["bash", "-c", script]).wait() == 0)
        #expect(try String(contentsOfFile: folder("errors"), encoding: .utf8) == "status 0\n")
    }

    @Test func `Queues that nobody reads, and dead letters, are warned of`() async throws {
        let variables = ["TGPIPE_REDIS": redis.address]
        let pushed = try await ToolRun.run(
            "ev-queue", ["push", "jobs"], input: QueueFixture.events(0..<3), environment: variables)
        #expect(pushed.status == 0)
        _ = try await ToolRun.run(
            "ev-queue", ["work", "jobs", "--once", "--", "sh", "-c", "exit 65"], environment: variables)
        _ = try await ToolRun.run(
            "ev-queue", ["push", "mail"], input: QueueFixture.events(3..<4), environment: variables)
        let result = try await run(["queues"])
        #expect(result.status == 0)
        #expect(try findings(result, level: "warning").count == 2, "\(result.output)")
        #expect(result.output.contains("no running stage reads queue:mail, in which one event waits"))
        #expect(result.output.contains("queue:jobs has 3 dead letters"))
    }

    @Test func `Each fault is found, with its exit status and without its secrets`() async throws {
        try Data().write(to: URL(filePath: folder("file")))
        let cases: [(check: String, variables: [String: String], words: String)] = [
            ("telegram", ["TG_BOT_TOKEN": ""], "neither a bot token nor a session"),
            ("telegram", ["TG_BOT_TOKEN": "123456:WRONG-token-of-somebody"], "@BotFather"),
            ("redis", ["TGPIPE_REDIS": "unix:\(folder("nothing.sock"))"], "nothing.sock"),
            ("redis", ["TGPIPE_REDIS": "localhost"], "TGPIPE_REDIS"),
            ("store", ["TGPIPE_STORE": "s3://media", "TGPIPE_S3_ENDPOINT": "http://127.0.0.1:1"], "TGPIPE_STORE"),
            ("state", ["TGPIPE_STATE": folder("file")], "TGPIPE_STATE"),
            ("programs", ["TGPIPE_YT_DLP": "/nonexistent/yt-dlp"], "tgpipe update-yt-dlp"),
        ]
        for fault in cases {
            let result = try await run([fault.check], fault.variables)
            #expect(result.status == 1, "\(fault): \(result.output) \(result.errors)")
            #expect(try findings(result, level: "error").contains(fault.check), "\(fault): \(result.output)")
            #expect(result.output.contains(fault.words), "\(fault): \(result.output)")
            #expect(!result.output.contains("WRONG-token"))
        }
    }

    @Test func `Single checks are made by name, and a wrong name is refused`() async throws {
        let one = try await run(["redis"])
        #expect(one.status == 0 && one.lines.count >= 1)
        #expect(try one.lines.allSatisfy { try JSON(parsing: $0)["check"] == "redis" })
        #expect(try await run(["reddis"]).status == 64)
        let program = try await ToolRun.run(
            "tgpipe", ["doctor", "jail"], environment: telegram.environment, folder: folder)
        #expect(program.status == 0 && program.lines.first?.contains("jail: ") == true, "\(program.output)")
    }
}

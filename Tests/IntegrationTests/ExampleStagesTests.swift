import Foundation
import TestSupport
import Testing

/// Runs the stages that docs/stage.md shows.
@Suite(.timeLimit(.minutes(2))) struct ExampleStagesTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let stages = ["pong.sh", "pong.py"]

    private static func path(_ name: String) -> String { root.appending(path: "examples/stages/\(name)").path }

    @Test(arguments: stages) func `The document shows the program as it is`(_ name: String) throws {
        let document = try String(contentsOf: Self.root.appending(path: "docs/stage.md"), encoding: .utf8)
        let program = try String(contentsOfFile: Self.path(name), encoding: .utf8)
        let lines = program.split(separator: "\n", omittingEmptySubsequences: false)
        let shown = lines.map { $0.isEmpty ? "" : "    \($0)" }.joined(separator: "\n")
        #expect(document.contains(shown))
    }

    @Test(arguments: stages) func `It answers a message, through pipes and through a queue`(_ name: String) async throws
    {
        let (telegram, redis, folder) = (try BotEmulator(), try RedisServer(), try TemporaryFolder())
        let environment = telegram.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 }
        func run(_ tool: String, _ arguments: [String], input: String = "") async throws -> ToolRun.Result {
            let result = try await ToolRun.run(tool, arguments, input: input, environment: environment, folder: folder)
            #expect(result.status == 0, "\(result.errors)")
            return result
        }
        let ann = BotEmulator.User(42, "Ann")
        try await telegram.say("ping", as: ann)
        try await telegram.say("something else", as: ann)
        let heard = try await run("tg-listen", ["--bot", "--once"])
        let (input, output) = (folder("in"), folder("out"))
        try heard.output.write(toFile: input, atomically: true, encoding: .utf8)
        #expect(try SpawnedProgram(["sh", "-c", "\(Self.path(name)) <\(input) >\(output)"]).wait() == 0)
        _ = try await run("tg-send", [], input: try String(contentsOfFile: output, encoding: .utf8))
        #expect(try await telegram.answers(in: 42).compactMap(\.text) == ["pong"])

        try await telegram.say("ping", as: ann)
        _ = try await run("tg-listen", ["--bot", "--once", "--to", "queue:raw"])
        let worker = try ToolRun(
            "ev-queue", ["work", "raw", "--to", "queue:send", "--", Self.path(name)], environment: environment,
            folder: folder)
        let sender = try ToolRun("tg-send", ["--from", "queue:send"], environment: environment, folder: folder)
        #expect(try await eventuallyAsync { try await telegram.answers(in: 42).count == 2 })
        for stage in [worker, sender] {
            stage.signal(15)
            #expect(try await stage.result().status == 0)
        }
    }
}

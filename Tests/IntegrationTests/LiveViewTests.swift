import Foundation
import JSON
import TestSupport
import Testing

/// Shows live stages and queues with ev-log.
@Suite(.timeLimit(.minutes(3))) struct LiveViewTests {
    private let redis: RedisServer
    private let folder: TemporaryFolder

    init() throws { (redis, folder) = (try RedisServer(), try TemporaryFolder()) }

    private var environment: [String: String] { ["TGPIPE_REDIS": redis.address, "TGPIPE_HEARTBEAT": "200ms"] }

    private func log(_ arguments: String...) async throws -> ToolRun.Result {
        try await ToolRun.run("ev-log", arguments, environment: environment, folder: folder)
    }

    private func state() async throws -> JSON { try JSON(parsing: try await log("top", "--once", "--json").output) }

    /// Writes a heartbeat as another program could.
    private func plant(_ name: String, _ value: String, lifetime: String = "60000") throws {
        try redis.cli("ZADD", "tgpipe:{heartbeats}", "\(Int(Date().timeIntervalSince1970 * 1000))", name)
        try redis.cli("SET", "tgpipe:{heartbeats}:\(name)", value, "PX", lifetime)
    }

    private func promtool() throws -> String {
        let project = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        return try #require(
            ["\(project)/.deps/usr/bin/promtool", "/usr/bin/promtool"].first {
                FileManager.default.isExecutableFile(atPath: $0)
            },
            "promtool is missing: run make deps")
    }

    @Test func `Stages and queues are shown with their figures, and a killed stage as gone within its lifetime`()
        async throws
    {
        _ = try await ToolRun.run(
            "ev-queue", ["push", "jobs"], input: QueueFixture.events(0..<7), environment: environment)
        let run = try ToolRun("ratelimit", ["-n", "1", "-w", "1h"], environment: environment)
        run.send(QueueFixture.events(0..<5))
        var found: JSON?
        let isLive = try await eventuallyAsync {
            found = try await state()["stages"]?.array?.first { $0["tool"] == "ratelimit" }
            return found?["in"] == 5
        }
        #expect(isLive && found?["state"] == "live")
        let table = try await log("top")
        #expect(table.status == 0 && !table.output.contains("\u{1B}"))
        let rows = table.lines.map { $0.split(separator: " ").map(String.init) }
        let row = try #require(rows.first { $0.count > 1 && $0[1] == "ratelimit" })
        #expect(row[2] == "\(run.processIdentifier)" && row.last == "ok")
        let queue = try #require(rows.first { $0.first == "jobs" })
        #expect(queue[1] == "7")
        run.signal(SIGKILL)
        let start = ContinuousClock.now
        let isGone = try await eventuallyAsync { try await state()["stages"]?.array?.first?["state"] == "gone" }
        #expect(isGone && ContinuousClock.now - start < .seconds(10))
        let gone = try await log("top", "--once").output
        #expect(gone.contains("gone, last seen"))
        let metrics = try await log("metrics").output
        #expect(metrics.contains(#"tgpipe_stage_up{tool="ratelimit""#) && metrics.contains("} 0\n"))
    }

    @Test func `A stage that ends in order is not shown`() async throws {
        let run = try ToolRun("ratelimit", ["-n", "1"], environment: environment)
        #expect(try await eventuallyAsync { try await state()["stages"]?.array?.count == 1 })
        run.signal(SIGTERM)
        _ = try await run.result()
        #expect(try await state()["stages"] == [])
        #expect(try await log("top", "--once").output.contains("no stage has a heartbeat"))
    }

    @Test func `With --json, one line is printed a look, until a signal`() async throws {
        let run = try ToolRun("ev-log", ["top", "--json", "--interval", "100ms"], environment: environment)
        let lines = try await run.waitForLines { $0.count >= 3 }
        for line in lines { #expect(try JSON(parsing: line)["stages"] == []) }
        run.signal(SIGTERM)
        #expect(try await run.result(deadline: .seconds(20)).status == 0)
    }

    private static let hostile =
        #"{"tool":"tg-send\u001b[2J","host":"h\"}\n x","pid":7,"in":9223372036854775807,"out":-5,"in_rate":1e308,"#
        + #""p99_ms":1e300,"memory_bytes":9223372036854775807,"version":"\\\"\n","started":"never","#
        + #""waits":[{"name":"<script>","seconds":1e300}],"waiting_for":"a\"b\\c\nd","#
        + #""last_error":{"message":"<b>\u001b[31m</b>"},"from":[{"kind":"queue","name":"a\" b"}],"#
        + #""to":[{"kind":"file","name":"/x\n\"","types":["<i>"]}]}"#

    @Test func `Hostile heartbeats do no harm to tables, metrics and graphs`() async throws {
        try plant("tg-send:h:7:ff", Self.hostile)
        try plant("x", "no JSON")
        try plant(":::::", "{}")
        try plant("\u{1B}[31m:<script>:9:9", "[]")
        try redis.cli("ZADD", "tgpipe:{heartbeats}", "-inf", "old:h:1:1")
        try redis.cli("ZADD", "tgpipe:{heartbeats}", "inf", "new:h:1:1")
        for arguments in [["top"], ["top", "--once", "--json"], ["metrics"], ["graph", "--dot"]] {
            let result = try await ToolRun.run("ev-log", arguments, environment: environment, folder: folder)
            #expect(result.status == 0, "\(arguments) \(result.errors)")
            #expect(!result.output.contains("\u{1B}"), "\(arguments)")
        }
        #expect(try await state()["stages"]?.array?.count == 6)
    }

    @Test func `Prometheus' own checker accepts the metrics`() async throws {
        try plant("tg-send:h:7:ff", Self.hostile)
        let stage = try ToolRun("ratelimit", ["-n", "1"], environment: environment)
        stage.send(QueueFixture.events(0..<5))
        _ = try await ToolRun.run(
            "ev-queue", ["push", "jobs"], input: QueueFixture.events(0..<7), environment: environment)
        _ = try await ToolRun.run("ev-queue", ["pull", "jobs"], environment: environment)
        #expect(try await eventuallyAsync { try await state()["stages"]?.array?.contains { $0["in"] == 5 } == true })
        let metrics = try await log("metrics")
        #expect(metrics.status == 0)
        try metrics.output.write(toFile: folder("metrics"), atomically: true, encoding: .utf8)
        let check = try SpawnedProgram([
            "sh", "-c", "\(try promtool()) check metrics < \(folder("metrics")) > \(folder("report")) 2>&1",
        ])
        let status = check.wait()
        #expect(status == 0, "\((try? String(contentsOfFile: folder("report"), encoding: .utf8)) ?? "")")
        #expect(metrics.output.contains(#"tgpipe_queue_group_events{queue="jobs",group="ev-queue",state="new"} 6"#))
        #expect(metrics.output.contains(#"service="a\"b\\c d""#))
    }

    @Test func `The graph joins the stages at the ends of pipes and queues`() async throws {
        let bin = ToolRun.path(of: "")
        let script =
            "export TGPIPE_REDIS='\(redis.address)' TGPIPE_HEARTBEAT=200ms TGPIPE_STATE=\(folder("state")); cd \(folder.path); "
            + "sleep 600 | \(bin)ratelimit -n 1 --to queue:a | cat & "
            + "\(bin)ratelimit -n 1 --from queue:a --group x | \(bin)ev-route -o 'b.\"#=/dev/null' -o '#=out' & wait"
        let program = try SpawnedProgram([
            "setsid", "bash", "-c", script.replacingOccurrences(of: "b.\"#", with: "b.#"),
        ])
        defer {
            kill(-program.processIdentifier, SIGKILL)
            program.wait()
        }
        #expect(try await eventuallyAsync { try await state()["stages"]?.array?.count == 3 })
        let result = try await log("graph", "--dot")
        #expect(result.status == 0 && result.output.hasPrefix("digraph tgpipe {") && result.output.hasSuffix("}\n"))
        func node(_ text: String) throws -> String {
            let line = try #require(result.lines.first { $0.contains(text) }, "\(result.output)")
            return String(line.split(separator: " ")[0])
        }
        let (queue, route, file) = (try node("label=\"a\\n"), try node("label=\"ev-route"), try node("/out\\nfile"))
        let filters = result.lines.filter { $0.contains("label=\"ratelimit") }.map {
            String($0.split(separator: " ")[0])
        }
        #expect(filters.contains { result.output.contains("\($0) -> \(queue);") })
        let second = try #require(filters.first { result.output.contains("\(queue) -> \($0);") })
        #expect(result.output.contains("\(second) -> \(route);"))
        #expect(result.output.contains("\(route) -> \(file) [label=\"#\"];"))
    }

    @Test func `Without a Redis, the commands say so`() async throws {
        for command in ["top", "metrics", "graph"] {
            let result = try await ToolRun.run("ev-log", [command], folder: folder)
            #expect(result.status == 69 && result.errors.contains("there is no Redis to look at"))
            let away = try await ToolRun.run(
                "ev-log", [command], environment: ["TGPIPE_REDIS": "unix:\(folder("none"))"], folder: folder)
            #expect(away.status == 69)
        }
    }
}

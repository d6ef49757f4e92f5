import Foundation
import Process
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct RouteQueueTests {
    private let here: RouteFixture
    private let redis: RedisServer

    init() throws {
        here = try RouteFixture()
        redis = try RedisServer()
    }

    private var environment: [String: String] { ["TGPIPE_REDIS": redis.address] }

    private func run(_ arguments: [String]) throws -> ToolRun {
        try ToolRun("ev-route", ["--spool", here.folder("spool")] + arguments, environment: environment)
    }

    private func events(_ numbers: Range<Int>) -> String {
        numbers.map { RouteFixture.event("a", $0) }.joined(separator: "\n")
    }

    @Test func `Events go into a queue and out of it in order`() async throws {
        let pushed = try await ToolRun.run(
            "ev-route", ["-o", "a=queue:jobs"], input: events(0..<5000), environment: environment)
        #expect(pushed.status == 0)
        let run = try run(["--from", "queue:jobs", "-o", "a=\(here.folder("out"))"])
        #expect(try await eventually { here.lines("out").count == 5000 })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        #expect(here.numbers("out") == Array(0..<5000))
    }

    @Test func `An event is acknowledged only after it is spooled`() async throws {
        let fifo = try here.fifo("a.fifo")
        let arguments = ["--from", "queue:jobs", "--overflow", "spool", "-o", "a=\(fifo)"]
        for round in 0..<4 {
            _ = try await ToolRun.run(
                "ev-route", ["-o", "a=queue:jobs"], input: events(round * 1000..<(round + 1) * 1000),
                environment: environment)
            let run = try run(arguments + ["--lease", "500ms"])
            try await Task.sleep(for: .milliseconds(Int.random(in: 20...300)))
            run.signal(SIGKILL)
            _ = try await run.result()
        }
        let reader = try here.reader(of: fifo, into: "out")
        let run = try run(arguments)
        #expect(try await eventually { Set(here.numbers("out")).count == 4000 })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
    }

    /// Kills the process at random moments, round after round.
    private func killInRounds(_ arguments: [String], push: (Int) -> String) async throws {
        for round in 0..<5 {
            _ = try await ToolRun.run(
                "ev-route", ["-o", "a=queue:in"], input: push(round), environment: environment)
            let run = try run(arguments)
            try await Task.sleep(for: .milliseconds(Int.random(in: 10...200)))
            run.signal(SIGKILL)
            _ = try await run.result()
        }
    }

    @Test func `From queue to queue each event arrives once, however often ev-route is killed`() async throws {
        let arguments = ["--from", "queue:in", "--lease", "500ms", "-o", "a=queue:out", "-o", "a=queue:other"]
        try await killInRounds(arguments) { round in events(round * 2000..<(round + 1) * 2000) }
        let last = try run(arguments)
        for queue in ["out", "other"] {
            let reader = try run(["--from", "queue:\(queue)", "-o", "a=\(here.folder(queue))"])
            #expect(try await eventually { Set(here.numbers(queue)).count == 10_000 })
            reader.signal(SIGTERM)
            #expect(try await reader.result().status == 0)
            #expect(here.numbers(queue).count == 10_000)
        }
        last.signal(SIGTERM)
        #expect(try await last.result().status == 0)
    }

    @Test func `Events changed by middleware arrive once from queue to queue`() async throws {
        let file = """
            before = ["exec:jq --unbuffered -c '.payload.seen = true'"]
            [[route]]
            match = "a"
            to = "queue:out"
            """
        try Data(file.utf8).write(to: URL(filePath: here.folder("route.toml")))
        let arguments = ["--from", "queue:in", "--lease", "500ms", "--config", here.folder("route.toml")]
        try await killInRounds(arguments) { round in
            (round * 400..<(round + 1) * 400).map { number in
                let id = "01930b7a-4f00-7abc-8def-" + String(1_000_000_000_00 + number)
                return RouteFixture.event("a", number).replacing("{\"type\"", with: "{\"id\":\"\(id)\",\"type\"")
            }.joined(separator: "\n")
        }
        let last = try run(arguments)
        let reader = try run(["--from", "queue:out", "-o", "a=\(here.folder("out"))"])
        #expect(try await eventually { Set(here.numbers("out")).count == 2000 })
        for run in [reader, last] {
            run.signal(SIGTERM)
            #expect(try await run.result().status == 0)
        }
        #expect(here.numbers("out").count == 2000)
        #expect(here.lines("out").allSatisfy { $0.contains(#""seen":true"#) })
    }

    @Test func `While Redis is away a spool keeps the queue's events`() async throws {
        let run = try run(["--overflow", "queue:jobs=spool", "-o", "a=queue:jobs", "-o", "a=\(here.folder("out"))"])
        run.send(RouteFixture.event("a", 0))
        #expect(try await eventually { here.lines("out").count == 1 })
        redis.kill()
        run.send(events(1..<2000))
        #expect(try await eventually { here.lines("out").count == 2000 })
        try redis.start()
        run.closeInput()
        #expect(try await run.result().status == 0)
        let reader = try self.run(["--from", "queue:jobs", "-o", "a=\(here.folder("back"))"])
        #expect(try await eventually { here.numbers("back").last == 1999 })
        reader.signal(SIGTERM)
        #expect(try await reader.result().status == 0)
        let numbers = here.numbers("back")
        #expect(numbers.suffix(1999) == Array(1..<2000)[...])
    }

    @Test func `An entry that is not one line goes to the queue's dead letters`() async throws {
        _ = try await ToolRun.run("ev-route", ["-o", "#=queue:jobs"], input: events(0..<1), environment: environment)
        let stream = "tgpipe:{queues}:jobs:stream"
        try redis.cli("XADD", stream, "*", "x", "y")
        try redis.cli("XADD", stream, "*", "e", "")
        try redis.cli("XADD", stream, "*", "e", "  ")
        try redis.cli("XADD", stream, "*", "e", events(1..<3))
        let run = try run(["--from", "queue:jobs", "-o", "a=\(here.folder("out"))"])
        #expect(try await eventually { try redis.cli("XLEN", "tgpipe:{queues}:jobs:dead") == "4" })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 65)
        #expect(here.numbers("out") == [0])
    }

    @Test func `Events that match no route go to the queue's dead letters`() async throws {
        _ = try await ToolRun.run(
            "ev-route", ["-o", "#=queue:jobs"], input: events(0..<2) + "\n" + RouteFixture.event("zzz", 2),
            environment: environment)
        let run = try run(["--from", "queue:jobs", "-o", "a=\(here.folder("out"))"])
        #expect(try await eventually { run.log.contains("no route for zzz") })
        let dead = #"exec redis-cli -s "$0" XLEN "tgpipe:{queues}:jobs:dead""#
        let socket = redis.socketPath
        #expect(try await eventually { (try? SpawnedProgram.output(of: ["/bin/sh", "-c", dead, socket])) == "1\n" })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 65)
        #expect(here.numbers("out") == [0, 1])
    }

    @Test func `Refused entries go to the queue's dead letters, whoever refuses them`() async throws {
        let file = """
            before = ["exec:sed -u 's/\\"n\\":/\\"seen\\":true,\\"n\\":/'"]
            after = [{ use = "access", chats = [1] }]
            [[route]]
            match = "a"
            to = "\(here.folder("out"))"
            [[route]]
            match = "b"
            to = "queue:other"
            before = [{ use = "access", roles = "admin" }]
            """
        try Data(file.utf8).write(to: URL(filePath: here.folder("route.toml")))
        let long = RouteFixture.event("a", 3, padding: 5000)
        let input = [RouteFixture.event("a", 0), RouteFixture.event("b", 1), RouteFixture.event("zzz", 2), long]
        _ = try await ToolRun.run(
            "ev-route", ["-o", "#=queue:jobs"], input: input.joined(separator: "\n"), environment: environment)
        let run = try run(["--from", "queue:jobs", "--max-line", "4K", "--config", here.folder("route.toml")])
        #expect(try await eventually { try redis.cli("XLEN", "tgpipe:{queues}:jobs:dead") == "4" })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 65)
        #expect(here.numbers("out") == [0])
        let dead = try redis.cli("XRANGE", "tgpipe:{queues}:jobs:dead", "-", "+")
        for code in ["unknown_type", "too_long", "access_denied"] { #expect(dead.contains(code)) }
        #expect(try redis.cli("XLEN", "tgpipe:{queues}:other:stream") == "0")
    }

    @Test func `A filter that fails ends the tool, and its events stay in the queue`() async throws {
        let file = "before = [\"exec:exit 127\"]\n[[route]]\nmatch = \"a\"\nto = \"\(here.folder("out"))\"\n"
        try Data(file.utf8).write(to: URL(filePath: here.folder("route.toml")))
        _ = try await ToolRun.run("ev-route", ["-o", "#=queue:jobs"], input: events(0..<5), environment: environment)
        let failing = try run(["--from", "queue:jobs", "--config", here.folder("route.toml")])
        #expect(try await failing.result().status == 69)
        let run = try run(["--from", "queue:jobs", "-o", "a=\(here.folder("out"))"])
        #expect(try await eventually { here.lines("out").count == 5 })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        // The first run may have taken only some of the events. Those are retries for the second, whose order is free.
        #expect(here.numbers("out").sorted() == Array(0..<5))
    }
}

import Envelope
import Foundation
import JSON
import Process
import Redis
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct QueueToolTests {
    private let queues: QueueFixture

    init() throws { queues = try QueueFixture() }

    private func push(_ numbers: Range<Int>, to queue: String = "jobs") async throws {
        #expect(try await queues.run("ev-queue", "push", queue, input: QueueFixture.events(numbers)).status == 0)
    }

    @Test func `The push command keeps lines unchanged and ignores a job that is already queued`() async throws {
        let odd = #"{ "zzz":[1.50,1e3], "type" :"a.b" ,"correlation_id":"0191E0A0-0000-7000-8000-000000000000"}"#
        let input = QueueFixture.events(0..<2) + "\n" + odd
        #expect(try await queues.run("ev-queue", "push", "jobs", input: input).status == 0)
        let again = try await queues.run("ev-queue", "push", "jobs", input: QueueFixture.events(1..<3))
        #expect(again.status == 0)
        #expect(again.errors.contains("skipped a job that was pushed before"))
        #expect(again.errors.contains("pushed one event, skipped 1"))
        let lines = try await queues.run("ev-queue", "peek", "queue:jobs").lines
        #expect(lines.count == 4)
        #expect(lines[2] == odd)
        _ = try await queues.run("ev-queue", "push", "jobs", "--again", input: QueueFixture.events(0..<2))
        #expect(try await queues.numbers(in: "jobs") == [0, 1, 2, 0, 1])
    }

    @Test func `The push command refuses malformed lines and continues`() async throws {
        let result = try await queues.run("ev-queue", "push", "jobs", input: "{oops\n" + QueueFixture.events(0..<1))
        #expect(result.status == 65)
        #expect(try await queues.numbers(in: "jobs") == [0])
    }

    @Test func `The pull command acknowledges the events it writes and reports an empty queue`() async throws {
        try await push(0..<3)
        let first = try await queues.run("ev-queue", "pull", "jobs", "-n", "2")
        #expect(first.status == 0)
        #expect(try first.envelopes().map { $0.payload["number"] } == [0, 1])
        #expect(try await queues.run("ev-queue", "pull", "jobs", "-n", "2").lines.count == 1)
        let none = try await queues.run("ev-queue", "pull", "jobs", "--wait", "100ms")
        #expect(none.status == 1 && none.output.isEmpty)
        #expect(try await queues.run("ev-queue", "pull", "jobs", "--group", "others", "-n", "9").status == 1)
    }

    @Test func `The work command runs the program for each event and publishes its output`() async throws {
        try await push(0..<5)
        let result = try await queues.run(
            "ev-queue", "work", "jobs", "--once", "--concurrency", "2", "--to", "queue:done", "--",
            try queues.program("exec cat"))
        #expect(result.status == 0)
        #expect(try await queues.numbers(in: "done").sorted() == [0, 1, 2, 3, 4])
        #expect(try await queues.stats("jobs")["events"] == 0)
    }

    @Test func `The work command gives the program batches`() async throws {
        try await push(0..<10)
        let result = try await queues.run(
            "ev-queue", "work", "jobs", "--once", "--batch", "4", "--", try queues.program("wc -l"))
        #expect(result.lines.map { $0.trimmingCharacters(in: .whitespaces) } == ["4", "4", "2"])
    }

    @Test(arguments: [65, 69, 1])
    func `The work command retries transient failures and gives up permanent ones`(status: Int) async throws {
        try await push(0..<1)
        let result = try await queues.run(
            "ev-queue", "work", "jobs", "--once", "--max-attempts", "3", "--backoff", "20ms", "--",
            try queues.program("cat >/dev/null; echo half; exit \(status)"))
        #expect(result.status == 0)
        #expect(result.output.isEmpty)
        let dead = try await queues.run("ev-queue", "peek", "jobs", "--dead").envelopes()
        #expect(dead.count == 1)
        #expect(dead.first?.payload["attempts"] == (status == 65 ? 1 : 3))
        #expect(dead.first?.payload["code"] == (status == 65 ? "failed" : "attempts_used_up"))
        #expect(dead.first?.payload["reason"]?.string?.hasSuffix("ended with status \(status)") == true)
        #expect(dead.first?.payload["line"]?.string == QueueFixture.events(0..<1))
    }

    @Test func `The work command retries when the program is killed, exceeds its time, or writes too much`()
        async throws
    {
        for (text, reason) in [
            ("kill -9 $$", "was ended by signal 9"), ("sleep 60", "did not end within --timeout"),
            ("yes", "--max-output"),
        ] {
            try await push(0..<1, to: "q")
            let result = try await queues.run(
                "ev-queue", "work", "q", "--once", "--max-attempts", "2", "--backoff", "20ms", "--timeout", "300ms",
                "--max-output", "100K", "--", try queues.program(text))
            #expect(result.status == 0)
            #expect(result.errors.contains(reason))
            _ = try await queues.run("ev-queue", "purge", "q", "--yes")
        }
    }

    @Test(arguments: [77, 78])
    func `The work command ends on a configuration error and the event keeps all its attempts`(status: Int32)
        async throws
    {
        try await push(0..<1)
        let result = try await queues.run(
            "ev-queue", "work", "jobs", "--max-attempts", "1", "--", try queues.program("exit \(status)"))
        #expect(result.status == status)
        let pulled = try await queues.run("ev-queue", "pull", "jobs")
        #expect(pulled.lines.count == 1)
        #expect(try await queues.run("ev-queue", "work", "jobs", "--", "/nowhere/x").status == 78)
        #expect(try await queues.run("ev-queue", "work", "jobs").status == 64)
    }

    @Test func `The work command finishes running programs on SIGTERM and leaves other events queued`() async throws {
        try await push(0..<3)
        let program = try queues.program("cat; touch \(queues.folder("begun")); sleep 0.4")
        let worker = try queues.start("ev-queue", ["work", "jobs", "--", program])
        let begun = queues.folder("begun")
        #expect(try await eventually { FileManager.default.fileExists(atPath: begun) })
        worker.signal(SIGTERM)
        let result = try await worker.result()
        #expect(result.status == 0 && result.lines.count == 1)
        #expect(try await queues.stats("jobs")["events"] == 2)
    }

    @Test func `The work command kills its program and its descendants at the drain deadline`() async throws {
        try await push(0..<1)
        let mark = queues.folder("late")
        let program = try queues.program("touch \(queues.folder("begun")); (sleep 3; touch \(mark)) & wait")
        let worker = try queues.start("ev-queue", ["work", "jobs", "--drain", "200ms", "--", program])
        let begun = queues.folder("begun")
        #expect(try await eventually { FileManager.default.fileExists(atPath: begun) })
        worker.signal(SIGTERM)
        #expect(try await worker.result().status == 128 + SIGTERM)
        try await Task.sleep(for: .seconds(3.2))
        #expect(!FileManager.default.fileExists(atPath: mark))
    }

    @Test func `A run longer than the lease keeps the lease`() async throws {
        try await push(0..<1)
        let runs = queues.folder("runs")
        let program = try queues.program("echo run >>\(runs); sleep 1.6; cat")
        let arguments = ["work", "jobs", "--lease", "500ms", "--to", "queue:done", "--", program]
        let workers = [try queues.start("ev-queue", arguments), try queues.start("ev-queue", arguments)]
        #expect(try await queues.run("ev-queue", "wait", "jobs", "--timeout", "30s").status == 0)
        for worker in workers {
            worker.signal(SIGTERM)
            #expect(try await worker.result().status == 0)
        }
        #expect(try await queues.numbers(in: "done") == [0])
        #expect(try String(contentsOfFile: runs, encoding: .utf8) == "run\n")
    }

    @Test func `A worker that was stopped for longer than its lease publishes nothing afterwards`() async throws {
        try await push(0..<1)
        let begun = queues.folder("begun")
        let slow = try queues.program("cat; touch \(begun); sleep 0.3")
        let first = try queues.start(
            "ev-queue", ["work", "jobs", "--lease", "500ms", "--to", "queue:done", "--", slow])
        #expect(try await eventually { FileManager.default.fileExists(atPath: begun) })
        first.signal(SIGSTOP)
        let second = try await queues.run("ev-queue", "work", "jobs", "--once", "--to", "queue:done", "--", "cat")
        #expect(second.status == 0)
        #expect(try await queues.numbers(in: "done") == [0])
        first.signal(SIGCONT)
        #expect(try await eventually { first.log.contains("lost the lease") })
        first.signal(SIGTERM)
        #expect(try await first.result().status == 0)
        #expect(try await queues.numbers(in: "done") == [0])
    }

    @Test func `Dead letters are redriven, one or all of them`() async throws {
        try await push(0..<3)
        _ = try await queues.run("ev-queue", "work", "jobs", "--once", "--", try queues.program("exit 65"))
        let dead = try await queues.run("ev-queue", "peek", "jobs", "--dead").envelopes()
        let entry = try #require(dead.first?.payload["entry"]?.string)
        #expect(try await queues.run("ev-queue", "redrive", "jobs", entry).status == 0)
        #expect(try await queues.run("ev-queue", "redrive", "jobs", entry).status == 1)
        #expect(try await queues.stats("jobs")["dead"] == 2)
        #expect(try await queues.run("ev-queue", "redrive", "jobs", "--all").status == 0)
        _ = try await queues.run("ev-queue", "work", "jobs", "--once", "--to", "queue:done", "--", "cat")
        #expect(try await queues.numbers(in: "done").sorted() == [0, 1, 2])
        #expect(try await queues.stats("jobs")["dead"] == 0)
        for wrong in [
            ["redrive", "jobs"], ["redrive", "jobs", "x"], ["redrive", "jobs", "--all", "1-1"],
            ["redrive", "jobs", "-1-1"],
            ["redrive", "jobs", "99999999999999999999-0"],
        ] {
            #expect(try await ToolRun.run("ev-queue", wrong, environment: queues.environment).status == 64)
        }
    }

    @Test func `Malformed lines in a queue become dead letters and other events are handled`() async throws {
        try await push(0..<1, to: "a")
        _ = try queues.redis.cli("XADD", "tgpipe:{queues}:a:stream", "*", "e", "{oops")
        _ = try queues.redis.cli("XADD", "tgpipe:{queues}:a:stream", "*", "other", "x")
        try await push(1..<2, to: "a")
        let stage = try queues.start("ratelimit", ["-n", "1", "--from", "queue:a", "--to", "queue:b"])
        #expect(try await queues.run("ev-queue", "wait", "a", "--timeout", "30s").status == 0)
        stage.signal(SIGTERM)
        #expect(try await stage.result().status == 65)
        #expect(try await queues.numbers(in: "b") == [0, 1])
        let dead = try await queues.run("ev-queue", "peek", "a", "--dead").envelopes()
        #expect(dead.map { $0.payload["line"] } == ["{oops", ""])
        #expect(dead.allSatisfy { $0.payload["code"] == "not_json" && $0.payload["tool"] == "ratelimit" })
        #expect(try await queues.run("ev-queue", "peek", "a", "--pending", "ratelimit").status == 0)
        #expect(try await queues.run("ev-queue", "peek", "a", "--pending", "nobody").status == 1)
    }

    @Test func `A line in a queue that is too long becomes an unchanged dead letter`() async throws {
        let long = QueueFixture.events(1..<2, payload: #","pad":"\#(String(repeating: "x", count: 2000))""#)
        _ = try await queues.run("ev-queue", "push", "a", input: QueueFixture.events(0..<1) + "\n" + long)
        let stage = try queues.start(
            "ratelimit", ["-n", "1", "--from", "queue:a", "--to", "queue:b", "--max-line", "1K"])
        #expect(try await queues.run("ev-queue", "wait", "a", "--timeout", "30s").status == 0)
        stage.signal(SIGTERM)
        _ = try await stage.result()
        #expect(try await queues.numbers(in: "b") == [0])
        let dead = try await queues.run("ev-queue", "peek", "a", "--dead").envelopes()
        #expect(dead.map { $0.payload["code"] } == ["too_long"])
        #expect(dead.first?.payload["line"]?.string == long)
    }

    @Test func `A queue that leads into itself is refused`() async throws {
        #expect(try await queues.run("ratelimit", "-n", "1", "--from", "queue:a", "--to", "queue:a").status == 64)
        #expect(try await queues.run("ev-queue", "work", "a", "--to", "queue:a", "--", "cat").status == 64)
    }

    @Test func `A full queue makes its writers wait and loses nothing`() async throws {
        let pusher = try queues.start("ev-queue", ["push", "jobs", "--max-length", "100"])
        pusher.send(QueueFixture.events(0..<100))
        pusher.send(QueueFixture.events(100..<250))
        pusher.closeInput()
        #expect(try await eventually { pusher.log.contains("waiting for room") })
        let reader = try queues.start("ev-queue", ["work", "jobs", "--batch", "50", "--to", "queue:done", "--", "cat"])
        #expect(try await pusher.result().status == 0)
        #expect(try await queues.run("ev-queue", "wait", "jobs", "--timeout", "30s").status == 0)
        reader.signal(SIGTERM)
        _ = try await reader.result()
        #expect(try await queues.numbers(in: "done") == Array(0..<250))
    }

    @Test func `The wait command reports a queue that does not empty in time`() async throws {
        try await push(0..<1)
        let result = try await queues.run("ev-queue", "wait", "jobs", "--timeout", "100ms")
        #expect(result.status == 75)
        #expect(result.errors.contains("still has 1 unfinished events"))
    }

    @Test func `The wait command gives up in time when Redis is away`() async throws {
        try await push(0..<1)
        let waiting = try queues.start("ev-queue", ["wait", "jobs", "--timeout", "2s"])
        try await Task.sleep(for: .milliseconds(500))
        queues.redis.kill()
        #expect(try await waiting.result().status == 69)
    }

    @Test(arguments: [
        ["stats", "jbos"], ["peek", "jbos"], ["wait", "jbos"], ["redrive", "jbos", "--all"], ["purge", "jbos"],
    ])
    func `A queue that does not exist is no empty queue`(_ arguments: [String]) async throws {
        let none = try await queues.start("ev-queue", arguments).result()
        #expect(none.status == 1 && none.errors.contains("queue:jbos does not exist; there is no queue yet"))
        try await push(0..<1)
        let near = try await queues.start("ev-queue", arguments).result()
        #expect(near.status == 1 && near.output.isEmpty)
        #expect(near.errors.contains("queue:jbos does not exist; did you mean jobs?"), "\(near.errors)")
    }

    @Test func `The state of the other queues is printed, and a queue without one of its ends gets a warning`()
        async throws
    {
        try await push(0..<2)
        let some = try await queues.run("ev-queue", "stats", "jobs", "mail")
        #expect(some.status == 1 && some.lines.count == 1)
        #expect(some.errors.contains("queue:mail does not exist; 'ev-queue list' lists all"), "\(some.errors)")
        #expect(some.errors.contains("no running stage reads queue:jobs, in which 2 events wait"))
        let environment = queues.environment.merging(["TGPIPE_HEARTBEAT": "100ms"]) { $1 }
        let misspelled = try ToolRun(
            "ratelimit", ["-n", "9", "--from", "queue:jbos", "--to", "queue:done"], environment: environment)
        let warns = try await eventuallyAsync {
            try await queues.run("ev-queue", "stats").errors.contains("no running stage writes to queue:jbos")
        }
        #expect(warns)
        let right = try ToolRun(
            "ratelimit", ["-n", "9", "--from", "queue:jobs", "--to", "queue:done"], environment: environment)
        #expect(
            try await eventuallyAsync { try await !queues.run("ev-queue", "stats", "jobs").errors.contains("warning") })
        for run in [misspelled, right] {
            run.signal(SIGTERM)
            _ = try await run.result()
        }
    }

    @Test func `A stage that waits for events of a queue ends with its reader`() async throws {
        try await push(0..<1)
        let variables = queues.environment.map { "\($0)='\($1)'" }.joined(separator: " ")
        for command in ["ev-queue tap jobs --all", "ratelimit -n 9 --from queue:jobs"] {
            let script =
                "export \(variables) HOME='\(queues.folder.path)'; \(ToolRun.path(of: command)) 2>/dev/null | head -n 1; echo ${PIPESTATUS[0]}"
            let lines = try SpawnedProgram.output(of: ["bash", "-c", script]).split(separator: "\n")
            #expect(lines.count == 2 && lines.first?.contains("commands.test.job") == true, "\(command): \(lines)")
            #expect(lines.last == "74", "\(command)")
        }
    }

    @Test func `The list command shows a queue that only XADD has created`() async throws {
        try await push(0..<1)
        _ = try queues.redis.cli("XADD", "tgpipe:{queues}:by-hand:stream", "*", "e", "{}")
        #expect(try await queues.run("ev-queue", "list").lines == ["by-hand", "jobs"])
    }

    @Test func `The purge command requires its confirmation flag`() async throws {
        try await push(0..<2)
        #expect(try await queues.run("ev-queue", "purge", "jobs").status == 1)
        #expect(try await queues.numbers(in: "jobs").count == 2)
        #expect(try await queues.run("ev-queue", "list").lines == ["jobs"])
        #expect(try await queues.run("ev-queue", "purge", "jobs", "--yes").status == 0)
        #expect(try await queues.run("ev-queue", "list").lines.isEmpty)
        try await push(0..<2)
        #expect(try await queues.numbers(in: "jobs").count == 2)
        _ = try await queues.run("ev-queue", "pull", "jobs", "--group", "stale")
        #expect(try await queues.run("ev-queue", "purge", "jobs", "--group", "stale", "--yes").status == 0)
        #expect(try await queues.run("ev-queue", "purge", "jobs", "--group", "stale", "--yes").status == 1)
    }

    @Test func `A Redis that is read-only or out of memory is reported as that`() async throws {
        _ = try queues.redis.cli("CONFIG", "SET", "maxmemory", "1")
        let full = try await queues.run("ev-queue", "push", "jobs", input: QueueFixture.events(0..<1))
        #expect(full.status == 75 && full.errors.contains("OOM"))
        _ = try queues.redis.cli("CONFIG", "SET", "maxmemory", "0")
        _ = try queues.redis.cli("REPLICAOF", "127.0.0.1", "1")
        let replica = try await queues.run("ev-queue", "push", "jobs", input: QueueFixture.events(0..<1))
        #expect(replica.status == 78 && replica.errors.contains("READONLY"))
    }

    @Test func `A Redis that may evict keys causes a warning`() async throws {
        _ = try queues.redis.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        let result = try await queues.run("ev-queue", "push", "jobs", input: QueueFixture.events(0..<1))
        #expect(result.status == 0)
        #expect(result.errors.contains("set it to noeviction"))
    }
}

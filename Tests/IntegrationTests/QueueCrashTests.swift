import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests that processes that are killed and restarted lose no event and repeat none.
@Suite(.timeLimit(.minutes(5))) struct QueueCrashTests {
    private let queues: QueueFixture

    init() throws { queues = try QueueFixture() }

    private func hop(_ more: String...) throws -> ToolRun {
        try queues.start(
            "ratelimit",
            [
                "-m", "nothing", "-n", "1", "--from", "queue:a", "--to", "queue:b", "--lease", "500ms",
                "--max-attempts", "1000",
            ]
                + more)
    }

    /// Pushes a few events at a time while the test kills processes.
    private func pushSlowly(_ count: Int) async throws {
        let pusher = try queues.start("ev-queue", ["push", "a"])
        for start in stride(from: 0, to: count, by: 100) {
            pusher.send(QueueFixture.events(start..<start + 100))
            try await Task.sleep(for: .milliseconds(25))
        }
        pusher.closeInput()
        #expect(try await pusher.result().status == 0)
    }

    private func expectEachOnce(_ count: Int) async throws {
        let worker = try hop()
        #expect(try await queues.run("ev-queue", "wait", "a", "--timeout", "60s").status == 0)
        worker.signal(SIGTERM)
        _ = try await worker.result()
        let numbers = try await queues.numbers(in: "b")
        #expect(numbers.count == count)
        #expect(Set(numbers) == Set(0..<Int64(count)))
        #expect(try await queues.stats("a")["dead"] == 0)
    }

    @Test func `Killing workers at random moments loses and repeats no event`() async throws {
        let count = 6000
        async let pushed: Void = pushSlowly(count)
        for _ in 0..<25 {
            let workers = [try hop(), try hop()]
            try await Task.sleep(for: .milliseconds(Int.random(in: 20...120)))
            for worker in workers {
                worker.signal(SIGKILL)
                _ = try await worker.result()
            }
        }
        try await pushed
        try await expectEachOnce(count)
    }

    @Test func `Workers wait for a killed Redis to return`() async throws {
        let count = 3000
        let workers = [try hop(), try hop()]
        async let pushed: Void = pushSlowly(count)
        for _ in 0..<5 {
            try await Task.sleep(for: .milliseconds(100))
            queues.redis.kill()
            try await Task.sleep(for: .milliseconds(50))
            try queues.redis.start()
        }
        try await pushed
        for worker in workers {
            worker.signal(SIGTERM)
            let result = try await worker.result()
            #expect(result.status == 0, "\(result.errors.suffix(2000))")
        }
        try await expectEachOnce(count)
    }

    @Test func `An event that kills its workers becomes a dead letter and the others are handled`() async throws {
        // The program's parent guards it; that one's parent is ev-queue.
        let program = try queues.program(
            """
            line=$(cat)
            case $line in *poison*)
                guard=$(cut -d' ' -f4 /proc/$$/stat)
                kill -9 "$(cut -d' ' -f4 "/proc/$guard/stat")"
                sleep 60 ;;
            esac
            echo "$line"
            """)
        let events =
            QueueFixture.events(0..<10) + "\n" + QueueFixture.events(10..<11, payload: #","poison":true"#) + "\n"
            + QueueFixture.events(11..<20)
        try await queues.run("ev-queue", "push", "jobs", input: events)
        var deaths = 0
        while deaths < 20 {
            let worker = try await queues.run(
                "ev-queue", "work", "jobs", "--once", "--lease", "500ms", "--max-attempts", "4", "--concurrency", "3",
                "--to", "queue:done", "--", program)
            if worker.status == 0 { break }
            #expect(worker.status == 128 + SIGKILL)
            deaths += 1
        }
        #expect(deaths == 4)
        #expect(try await Set(queues.numbers(in: "done")) == Set((0..<20).filter { $0 != 10 }))
        #expect(try await queues.numbers(in: "done").count == 19)
        let dead = try await queues.run("ev-queue", "peek", "jobs", "--dead").envelopes()
        #expect(dead.map { $0.payload["code"] } == ["worker_died"])
        #expect(dead.first?.payload["attempts"] == 5)
        #expect(dead.first?.payload["line"]?.string?.contains("poison") == true)
    }

    /// The offset moves in the same step as the update is published, wherever the kill comes.
    @Test func `A killed listener publishes every update once`() async throws {
        let telegram = try BotEmulator()
        let total: Int64 = 1500
        let environment = telegram.environment.merging(queues.environment) { $1 }
        let folder = queues.folder
        async let written: Void = {
            for _ in 0..<total / 50 {
                try await telegram.server.call(
                    "POST", "/control/burst",
                    .object(["chat_id": 42, "from": ["id": 42, "first_name": "Ann"], "text": "m-{n}", "count": 50]))
                try await Task.sleep(for: .milliseconds(20))
            }
        }()
        for _ in 0..<15 {
            let run = try ToolRun("tg-listen", ["--to", "queue:raw"], environment: environment, folder: folder)
            try await Task.sleep(for: .milliseconds(Int.random(in: 30...120)))
            run.signal(SIGKILL)
            _ = try await run.result()
        }
        try await written
        let last = try await ToolRun.run(
            "tg-listen", ["--once", "--to", "queue:raw"], environment: environment, folder: folder)
        #expect(last.status == 0)
        let ids = try await queues.run("ev-queue", "peek", "raw", "-n", "0").envelopes().compactMap {
            $0.payload["update_id"]?.int
        }
        #expect(ids.count == Int(total))
        #expect(Set(ids).count == Int(total))
        #expect(ids == ids.sorted())
    }
}

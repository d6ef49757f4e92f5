import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests `ev-queue work --order-by`: several workers run programs for the events of one queue.
@Suite(.timeLimit(.minutes(3))) struct OrderedWorkTests {
    private let queues: QueueFixture

    init() throws { queues = try QueueFixture() }

    private func push(_ count: Int, keys: Int) async throws {
        let lines = (0..<count).map { QueueFixture.events($0..<$0 + 1, payload: #","topic":"t\#($0 % keys)""#) }
        #expect(try await queues.run("ev-queue", "push", "a", input: lines.joined(separator: "\n") + "\n").status == 0)
    }

    /// Returns the numbers in a file, by topic, without repetitions.
    private func numbers(in path: String) throws -> [String: [Int64]] {
        var lists: [String: [Int64]] = [:]
        for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
            let event = try Envelope(try JSON(parsing: String(line)))
            guard let topic = event.payload["topic"]?.string, let number = event.payload["number"]?.int else {
                continue
            }
            if lists[topic]?.contains(number) != true { lists[topic, default: []].append(number) }
        }
        return lists
    }

    @Test(arguments: ["1", "5"]) func `Programs get the events of one topic in order`(batch: String) async throws {
        try await push(120, keys: 6)
        let output = queues.folder("output")
        // One run in ten fails, and one worker is killed on the way.
        let program = try queues.program(
            "test $(( $(od -An -N2 -tu2 /dev/urandom) % 10 )) -ne 0 || exit 1\nlines=$(cat); sleep 0.0$(( $$ % 5 ))\nprintf '%s\\n' \"$lines\" >> \(output)"
        )
        let runs = try (0..<3).map { _ in
            try queues.start(
                "ev-queue",
                [
                    "work", "a", "--order-by", "payload.topic", "--batch", batch, "--concurrency", "2", "--lease", "1s",
                    "--max-attempts", "50", "--backoff", "50ms", "--to", "/dev/null", "--", program,
                ])
        }
        try await Task.sleep(for: .milliseconds(500))
        runs[0].signal(SIGKILL)
        _ = try await runs[0].result()
        #expect(try await queues.run("ev-queue", "wait", "a", "--timeout", "60s").status == 0)
        for run in runs.dropFirst() {
            run.signal(SIGTERM)
            #expect(try await run.result().status == 0)
        }
        let lists = try numbers(in: output)
        for key in 0..<6 {
            #expect(lists["t\(key)"] == (0..<20).map { Int64($0 * 6 + key) }, "topic \(key)")
        }
    }

    @Test(arguments: ["", "payload..chat", "a,,b", "a,", ".a"]) func `A path that is none is a wrong usage`(
        path: String
    )
        async throws
    {
        let result = try await queues.run("ev-queue", "work", "a", "--order-by", path, "--", "true")
        #expect(result.status == 64)
        #expect(result.errors.contains("--order-by"))
    }

    @Test func `A program whose events another worker has taken is ended`() async throws {
        try await push(1, keys: 1)
        let output = queues.folder("output")
        let program = try queues.program("echo begin >> \(output); sleep 20; echo end >> \(output)")
        let run = try queues.start(
            "ev-queue",
            [
                "work", "a", "--order-by", "payload.topic", "--group", "g", "--lease", "3s", "--to", "/dev/null", "--",
                program,
            ])
        #expect(try await eventually { (try? String(contentsOfFile: output, encoding: .utf8)) == "begin\n" })
        let stream = "tgpipe:{queues}:a:stream"
        let entry = try #require(
            try queues.redis.cli("XPENDING", stream, "g", "-", "+", "1").split(separator: "\n").first)
        _ = try queues.redis.cli("XCLAIM", stream, "g", "another", "0", String(entry), "JUSTID")
        #expect(try await eventually { run.log.contains("the lease of its events is over") })
        run.signal(SIGTERM)
        // It does not wait for the program's end.
        let start = ContinuousClock.now
        #expect(try await run.result().status == 0)
        #expect(.now - start < .seconds(10))
        #expect(try String(contentsOfFile: output, encoding: .utf8) == "begin\n")
        // It has taken nothing from the other worker.
        #expect(try queues.redis.cli("XPENDING", stream, "g", "-", "+", "1").contains("another"))
    }

    @Test func `Spaces around paths do not count, and a path that leads nowhere is warned of once`() async throws {
        try await push(4, keys: 2)
        let good = try await queues.run(
            "ev-queue", "work", "a", "--order-by", " payload.none , payload.topic ", "--once", "--to", "/dev/null",
            "--",
            "cat")
        #expect(good.status == 0 && !good.errors.contains("--order-by"), "\(good.errors)")
        let more = QueueFixture.events(4..<8) + "\n"
        #expect(try await queues.run("ev-queue", "push", "a", input: more).status == 0)
        let bad = try await queues.run(
            "ev-queue", "work", "a", "--order-by", "payload.slip", "--once", "--to", "/dev/null",
            "--", "cat")
        #expect(bad.status == 0)
        #expect(bad.errors.split(separator: "\n").count { $0.contains("--order-by") } == 1, "\(bad.errors)")
    }
}

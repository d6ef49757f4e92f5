import Foundation
import JSON
import System
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct LogRunTests {
    private let fixture: LogFixture

    init() throws { fixture = try LogFixture() }

    private static func event(_ number: Int, _ writer: Int = 0) -> String {
        let digits = String(number * 100 + writer, radix: 16)
        let id = "0191e0a0-0000-7000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
        return
            #"{"id":"\#(id)","type":"events.n","version":1,"correlation_id":"\#(id)","timestamp":"2026-01-01T00:00:00.000000Z","payload":{},"meta":{}}"#
    }

    /// A file of routes that logs a line for each event.
    private func routes() throws -> String {
        let path = fixture.folder("routes.toml")
        try "before = [\"log\"]\n[[route]]\nmatch = \"#\"\nto = \"/dev/null\"\n".write(
            toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test func `Lines and spans of a tool are stored, and its file is removed when it has ended`() async throws {
        let result = try await ToolRun.run(
            "ratelimit", ["--limit", "5", "--window", "60s"], input: Self.event(1) + "\n",
            environment: fixture.environment, folder: fixture.folder)
        #expect(result.output == Self.event(1) + "\n")
        #expect(fixture.files().count == 1)
        #expect(try await fixture.runOnce().status == 0)
        #expect(fixture.files().isEmpty)
        let shown = try await fixture.log("show", "--spans", "--correlation", "0191e0a0").lines.map {
            try JSON(parsing: $0)
        }
        let spans = shown.filter { $0["operation"] != nil }
        #expect(spans.count == 1)
        #expect(spans.first?["tool"] == "ratelimit" && spans.first?["operation"] == "process")
    }

    @Test func `A file is not removed while its process lives`() async throws {
        let tool = try ToolRun(
            "ratelimit", ["--limit", "5", "--window", "60s"], environment: fixture.environment, folder: fixture.folder)
        tool.send(Self.event(1))
        let fixture = fixture
        #expect(try await eventually { fixture.files().count == 1 })
        #expect(
            try await eventuallyAsync {
                _ = try await fixture.runOnce()
                return try await fixture.log("show", "--spans").lines.count >= 1
            })
        #expect(fixture.files().count == 1)
        tool.closeInput()
        #expect(try await tool.result().status == 0)
        #expect(try await fixture.runOnce().status == 0)
        #expect(fixture.files().isEmpty)
    }

    @Test func `A file is removed while other processes write`() async throws {
        let line =
            Array(#"{"time":"2026-01-31T12:00:00.000000Z","level":"info","tool":"a","message":"m"}"#.utf8) + [0x0A]
        try fixture.write("a-1-1-0.ndjson", line)
        try fixture.write("b-1-1-0.ndjson", line)
        let ended = open("\(fixture.logs)/a-1-1-0.ndjson", O_WRONLY | O_APPEND)
        let busy = open("\(fixture.logs)/b-1-1-0.ndjson", O_WRONLY | O_APPEND)
        #expect(flock(ended, LOCK_EX | LOCK_NB) == 0 && flock(busy, LOCK_EX | LOCK_NB) == 0)
        let run = try ToolRun(
            "ev-log", ["run", "--log-dir", fixture.logs], environment: fixture.quiet, folder: fixture.folder)
        let fixture = fixture
        #expect(try await eventuallyAsync { try await fixture.log("show").lines.count == 2 })
        var written = 2
        for number in 0..<300 {
            if number == 20 { close(ended) }
            #expect(write(busy, line, line.count) == line.count)
            written += 1
            try await Task.sleep(for: .milliseconds(3))
        }
        #expect(fixture.files() == ["b-1-1-0.ndjson"])
        close(busy)
        #expect(try await eventually { fixture.files().isEmpty })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        #expect(try await fixture.log("show").lines.count == written)
    }

    @Test func `A second ev-log run for one store is told to try again`() async throws {
        let first = try ToolRun("ev-log", ["run"], environment: fixture.quiet, folder: fixture.folder)
        let fixture = fixture
        #expect(try await eventually { FileManager.default.fileExists(atPath: "\(fixture.store)/run.lock") })
        let second = try await fixture.runOnce()
        #expect(second.status == 75 && second.errors.contains("another 'ev-log run'"))
        first.signal(SIGTERM)
        #expect(try await first.result().status == 0)
    }

    @Test func `Each line of eight processes is stored once, however often ev-log is killed`() async throws {
        let all = ProcessInfo.processInfo.environment
        let each = (all["TGPIPE_TEST_LOG_LINES"].flatMap { Int($0) } ?? 16_000) / 8
        let kills = all["TGPIPE_TEST_LOG_KILLS"].flatMap { Int($0) } ?? 5
        let routes = try routes()
        let fixture = fixture
        var generator = SystemRandomNumberGenerator()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<8 {
                group.addTask {
                    let input = fixture.folder("in-\(writer)")
                    let lines = (0..<each).map { Self.event($0, writer) + "\n" }.joined()
                    try lines.write(toFile: input, atomically: true, encoding: .utf8)
                    // The errors, which hold the same lines, need not be read.
                    let script = "exec \"$0\" --config \"$1\" --from \"$2\" 2> /dev/null"
                    let process = try SpawnedProgram(
                        [
                            "env", "TGPIPE_LOG_DIR=\(fixture.logs)", "TGPIPE_LOG=json:info",
                            "TGPIPE_STATE=\(fixture.folder("state"))", "bash", "-c", script,
                            ToolRun.path(of: "ev-route"), routes, input,
                        ])
                    #expect(await BlockingThread.once { process.wait() } == 0)
                }
            }
            for _ in 0..<kills {
                let run = try ToolRun(
                    "ev-log", ["run", "--log-dir", fixture.logs], environment: fixture.quiet, folder: fixture.folder)
                try await Task.sleep(for: .milliseconds(Int.random(in: 20...400, using: &generator)))
                run.signal(SIGKILL)
                _ = try await run.result()
            }
            try await group.waitForAll()
        }
        #expect(try await fixture.runOnce().status == 0)
        #expect(fixture.files().isEmpty)
        var seen: [String: Int] = [:]
        var lost: Int64 = 0
        for line in try await fixture.log("show", "--tool", "ev-route").lines {
            let json = try JSON(parsing: line)
            if let id = json["id"]?.string { seen[id, default: 0] += 1 }
            lost += json["lost"]?.int ?? 0
        }
        #expect(seen.count + Int(lost) == 8 * each)
        #expect(seen.values.allSatisfy { $0 == 1 })
        #expect(lost == 0)
    }

    @Test func `Hostile lines are stored as what they are, and torn last lines are not lost`() async throws {
        let good = #"{"time":"2026-01-31T12:00:00.000000Z","level":"info","tool":"a","message":"good"}"#
        var bytes = Array("\(good)\nno json\n{\"a\":\"\u{0}\"}\n\n   \n[1,2]\n".utf8)
        bytes += [0xFF, 0xFE, 0x0A]
        bytes += [UInt8](repeating: UInt8(ascii: "x"), count: 3 << 20)
        bytes += Array("\n\(good)\n{\"time\":\"2026-".utf8)
        try fixture.write("a-tool-4242-1700000000000000-0.ndjson", bytes)
        // These are none of tgpipe's files.
        try fixture.write("notes.ndjson", Array("keep me\n".utf8))
        symlink("/etc/passwd", "\(fixture.logs)/b-1-1-0.ndjson")
        mkfifo("\(fixture.logs)/c-1-1-0.ndjson", 0o600)
        #expect(try await fixture.runOnce().status == 0)
        let lines = try await fixture.log("show").lines.map { try JSON(parsing: $0) }
        #expect(lines.count { $0["message"] == "good" } == 2)
        #expect(lines.count { $0["line"] != nil } == 6)
        #expect(lines.contains { $0["message"]?.string?.contains("1 MiB") == true })
        #expect(lines.contains { $0["line"]?.string == "{\"time\":\"2026-" })
        #expect(lines.allSatisfy { ["a", "a-tool"].contains($0["tool"]?.string) })
        #expect(Set(fixture.files()) == ["notes.ndjson", "b-1-1-0.ndjson", "c-1-1-0.ndjson"])
    }

    @Test func `Lines of any length are stored once, the torn last one included`() async throws {
        let sizes = [10, 100_000, 262_000, 262_144, 262_145, 300_000, 10, 900_000, 10, 250_000, 20, 400_000]
        let lines = sizes.enumerated().map { number, size in
            let text = String(repeating: "word ", count: size / 5)
            return
                #"{"time":"2026-01-31T12:00:00.000000Z","level":"info","tool":"a","message":"\#(text)","n":\#(number)}"#
        }
        try fixture.write("a-4242-1700000000000000-0.ndjson", Array(lines.joined(separator: "\n").utf8))
        #expect(try await fixture.runOnce().status == 0)
        #expect(try await fixture.log("show").lines == lines)
        #expect(fixture.files().isEmpty)
    }

    @Test func `A full disk of a tool costs lines of the log and no event`() async throws {
        let events = (0..<300).map { Self.event($0) + "\n" }.joined()
        try events.write(toFile: fixture.folder("in"), atomically: true, encoding: .utf8)
        // A limit for files stands for a full disk: 20 blocks of 1 KiB.
        let routes = fixture.folder("routes.toml")
        try "before = [\"log\"]\n[[route]]\nmatch = \"#\"\nto = \"-\"\n".write(
            toFile: routes, atomically: true, encoding: .utf8)
        let output = try SpawnedProgram.output(of: [
            "env", "TGPIPE_LOG_DIR=\(fixture.logs)", "TGPIPE_STATE=\(fixture.folder("state"))", "TGPIPE_LOG=json:info",
            "bash", "-c", "ulimit -f 20; \"$0\" --config \"$1\" --from \"$2\" 2> >(cat > /dev/null) | cat",
            ToolRun.path(of: "ev-route"),
            routes, fixture.folder("in"),
        ])
        #expect(output == events)
        // A file that is full to the last byte has no room for the number of lost lines.
        let isFull = try fixture.files().contains { name in
            let path = "\(fixture.logs)/\(name)"
            return try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int == 20 << 10
        }
        #expect(try await fixture.runOnce().status == 0)
        let lines = try await fixture.log("show").lines.map { try JSON(parsing: $0) }
        let stored = lines.count { $0["id"] != nil }
        let lost = lines.compactMap { $0["lost"]?.int }.reduce(0, +)
        #expect(stored < 300)
        #expect(lost > 0 || stored == 0 || isFull)
    }

    @Test func `While the store's disk is full, lines wait in their files`() async throws {
        let lines = (0..<20_000).map {
            #"{"time":"2026-01-31T12:00:00.000000Z","level":"info","tool":"a","message":"m","n":\#($0)}"# + "\n"
        }.joined()
        try fixture.write("a-4242-1700000000000000-0.ndjson", Array(lines.utf8))
        let limited = try SpawnedProgram([
            "env", "TGPIPE_LOG_STORE=\(fixture.store)", "TGPIPE_STATE=\(fixture.folder("state"))", "TGPIPE_LOG_DIR=",
            "bash", "-c", "ulimit -f 600; exec \"$0\" run --once --log-dir \"$1\" 2> >(cat > /dev/null)",
            ToolRun.path(of: "ev-log"),
            fixture.logs,
        ]).wait()
        #expect(limited == 74)
        #expect(fixture.files().count == 1)
        #expect(try await fixture.runOnce().status == 0)
        let numbers = try await fixture.log("show").lines.compactMap { try JSON(parsing: $0)["n"]?.int }
        #expect(numbers.count == 20_000 && Set(numbers).count == 20_000)
        #expect(fixture.files().isEmpty)
    }

    @Test func `The store stays within its limit, and keeps the newest lines`() async throws {
        let text = String(repeating: "words ", count: 150)
        let lines = (0..<12_000).map {
            #"{"time":"2026-01-31T12:00:00.000000Z","level":"info","tool":"a","message":"\#(text)","n":\#($0)}"# + "\n"
        }.joined()
        try fixture.write("a-4242-1700000000000000-0.ndjson", Array(lines.utf8))
        let result = try await fixture.log("run", "--once", "--log-dir", fixture.logs, "--max-size", "5M")
        #expect(result.status == 0)
        let sizes = try FileManager.default.contentsOfDirectory(atPath: fixture.store).map {
            try FileManager.default.attributesOfItem(atPath: "\(fixture.store)/\($0)")[.size] as? Int ?? 0
        }
        #expect(sizes.reduce(0, +) < 5 << 20)
        #expect(sizes.reduce(0, +) > 4 << 20)
        let numbers = try await fixture.log("show").lines.compactMap { try JSON(parsing: $0)["n"]?.int }
        #expect(numbers.last == 11_999 && numbers.count > 3000 && numbers.count < 6000)
    }

    @Test func `Secrets in every field reach neither the store nor what shows it`() async throws {
        let token = "1234567:AAabcdefghijklmnopqrstuvwxyz01234"
        let secrets = [token, "hunter2", "+4915112345678", String(repeating: "QUJD", count: 60)]
        let fields = [
            "https://api.telegram.org/bot\(token)/getMe", "redis://me:hunter2@localhost/1", "call +4915112345678 now",
            secrets[3],
        ]
        var lines = ""
        for field in fields {
            for key in ["message", "url", "tool", "error"] {
                var object: JSONObject = [
                    "time": "2026-01-31T12:00:00.000000Z", "level": "info", "tool": "a", "message": "m",
                    "correlation_id": "0191e0a0-0000-7000-8000-000000000001",
                ]
                object[key] = .string(field)
                lines += JSON.object(object).text + "\n"
            }
            lines += "not json \(field)\n"
        }
        #expect(try await fixture.log("import", input: lines).status == 0)
        let shown = try await fixture.log("show")
        #expect(shown.lines.count == fields.count * 5)
        let page = try await fixture.log("trace", "0191e0a0", "--html")
        let trace = try await fixture.log("trace", "0191e0a0")
        var store: [UInt8] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: fixture.store) {
            store += try Data(contentsOf: URL(filePath: "\(fixture.store)/\(name)"))
        }
        let stored = String(decoding: store, as: UTF8.self)
        for secret in secrets {
            for text in [shown.output, page.output, trace.output, stored] { #expect(!text.contains(secret)) }
        }
    }
}

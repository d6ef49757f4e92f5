import Foundation
import JSON
import TestSupport
import Testing

/// Looks at the keys by which stages show that they live.
@Suite(.timeLimit(.minutes(3))) struct HeartbeatTests {
    private let redis: RedisServer
    private let folder: TemporaryFolder

    init() throws { (redis, folder) = (try RedisServer(), try TemporaryFolder()) }

    private func environment(_ interval: String = "200ms") -> [String: String] {
        ["TGPIPE_REDIS": redis.address, "TGPIPE_HEARTBEAT": interval]
    }

    private var names: [String] {
        get throws {
            try redis.cli("ZRANGE", "tgpipe:{heartbeats}", "0", "-1").split(separator: "\n").map(String.init).sorted()
        }
    }

    private func heartbeat(_ name: String) throws -> JSON {
        (try? JSON(parsing: try redis.cli("GET", "tgpipe:{heartbeats}:\(name)"))) ?? .null
    }

    /// Waits for the heartbeat of the only stage that fulfils a condition.
    private func heartbeat(until isThere: (JSON) -> Bool) async throws -> (name: String, heartbeat: JSON) {
        var found: (String, JSON) = ("", .null)
        let isFound = try await eventually {
            for name in try names { found = (name, try heartbeat(name)) }
            return isThere(found.1)
        }
        #expect(isFound, "\(found)")
        return found
    }

    @Test func `A filter tells what it has read and written, and removes its key at the end`() async throws {
        let run = try ToolRun("ratelimit", ["-n", "3", "-w", "1h", "--on-limit", "drop"], environment: environment())
        let event =
            #"{"type":"a.b","correlation_id":"0191e0a0-0000-7000-8000-000000000000","meta":{"actor":{"id":42}}}"#
        for _ in 0..<10 { run.send(event) }
        run.send("{oops")
        let (name, beat) = try await heartbeat { $0["in"] == 11 && $0["dropped"] == 7 }
        #expect(beat["tool"] == "ratelimit" && beat["pid"]?.int == Int64(run.processIdentifier))
        #expect(name.hasPrefix("ratelimit:\(beat["host"]?.string ?? "?"):\(run.processIdentifier):"))
        #expect(beat["out"] == 3 && beat["failed"] == 1 && beat["in_flight"] == 0)
        #expect(beat["p99_ms"]?.double ?? -1 >= 0 && beat["memory_bytes"]?.int ?? 0 > 1_000_000)
        #expect(beat["in_rate"]?.double ?? -1 > 0)
        #expect(beat["from"]?.array?.first?["kind"] == "pipe" && beat["to"]?.array?.first?["kind"] == "pipe")
        #expect(beat["from"]?.array?.first?["id"] != beat["to"]?.array?.first?["id"])
        let lifetime = Int(try redis.cli("PTTL", "tgpipe:{heartbeats}:\(name)")) ?? 0
        #expect((1...600).contains(lifetime))
        run.closeInput()
        #expect(try await run.result().status == 65)
        #expect(try names.isEmpty && heartbeat(name) == .null)
    }

    @Test func `The key of a killed stage expires, and the index remembers it`() async throws {
        let run = try ToolRun("ratelimit", ["-n", "3"], environment: environment())
        let (name, _) = try await heartbeat { $0["tool"] == "ratelimit" }
        run.signal(SIGKILL)
        let start = ContinuousClock.now
        #expect(try await eventually { try heartbeat(name) == .null })
        #expect(ContinuousClock.now - start < .seconds(5))
        #expect(try names == [name])
    }

    @Test func `The two ends of a pipe have one id, and a router names its outputs`() async throws {
        let bin = ToolRun.path(of: "")
        let script =
            "export TGPIPE_REDIS='\(redis.address)' TGPIPE_HEARTBEAT=200ms TGPIPE_STATE=\(folder("state")); cd \(folder.path); mkfifo named; "
            + "sleep 600 | \(bin)ratelimit -n 1 | \(bin)ev-route -o 'a.#=named' -o 'b.#=queue:work' -o 'c.*=queue:work' "
            + "-o 'd=exec:cat secret' --overflow drop & "
            + "\(bin)ratelimit --name second -n 1 < named >out & echo $$; trap 'kill 0' TERM; wait"
        let program = try SpawnedProgram(["setsid", "bash", "-c", script])
        defer {
            kill(-program.processIdentifier, SIGKILL)
            program.wait()
        }
        var beats: [JSON] = []
        let areThere = try await eventually {
            beats = try names.map { try heartbeat($0) }
            return beats.filter { $0["tool"] != nil }.count == 3
        }
        #expect(areThere, "\(beats)")
        let route = try #require(beats.first { $0["tool"] == "ev-route" })
        let filters = beats.filter { $0["tool"] == "ratelimit" }
        let inner = try #require(filters.first { $0["to"]?.array?.first?["kind"] == "pipe" })
        #expect(inner["to"]?.array?.first?["id"] == route["from"]?.array?.first?["id"])
        let outer = try #require(filters.first { $0["from"]?.array?.first?["kind"] == "fifo" })
        let outputs = route["to"]?.array ?? []
        let fifo = try #require(outputs.first { $0["kind"] == "fifo" })
        #expect(fifo["id"] == outer["from"]?.array?.first?["id"] && fifo["types"] == ["a.#"])
        #expect(outputs.first { $0["kind"] == "queue" } == ["kind": "queue", "name": "work", "types": ["b.#", "c.*"]])
        #expect(outputs.first { $0["kind"] == "command" }?["name"] == "cat")
        #expect(outer["to"]?.array?.first == ["kind": "file", "name": .string(folder("out"))])
    }

    @Test func `A router counts what it routes, refuses and drops, also from a queue to a queue`() async throws {
        let run = try ToolRun("ev-route", ["-o", "a.#=-", "-o", "b.#=/dev/null"], environment: environment())
        for type in ["a.b", "b.c", "c.d", "a.b"] {
            run.send(#"{"type":"\#(type)","correlation_id":"0191e0a0-0000-7000-8000-000000000000"}"#)
        }
        let (_, beat) = try await heartbeat { $0["in"] == 4 && $0["out"] == 3 && $0["p99_ms"] != nil }
        #expect(beat["failed"] == 1)
        #expect(try #require(beat["p50_ms"]?.double) <= #require(beat["p99_ms"]?.double))
        run.closeInput()
        _ = try await run.result()
        _ = try await ToolRun.run(
            "ev-queue", ["push", "jobs"], input: QueueFixture.events(0..<50), environment: environment("off"))
        let queued = try ToolRun(
            "ev-route", ["--from", "queue:jobs", "-o", "#=queue:done"], environment: environment())
        let (_, moved) = try await heartbeat { $0["in"] == 50 && $0["out"] == 50 }
        #expect(moved["from"]?.array?.first?["name"] == "jobs" && moved["to"]?.array?.first?["name"] == "done")
        queued.signal(SIGTERM)
        #expect(try await queued.result().status == 0)
    }

    @Test func `Without a Redis, or with one that is frozen, a stage works as before`() async throws {
        let input = (0..<1000).map {
            #"{"type":"a.b","n":\#($0),"correlation_id":"0191e0a0-0000-7000-8000-000000000000"}"#
        }
        .joined(separator: "\n")
        redis.freeze()
        defer { redis.thaw() }
        for address in ["unix:\(folder("none.sock"))", redis.address, "redis://127.0.0.1:1"] {
            let run = try ToolRun(
                "ev-route", ["-o", "#=-"], environment: ["TGPIPE_REDIS": address, "TGPIPE_HEARTBEAT": "100ms"])
            run.send(Array((input + "\n").utf8))
            _ = try await run.waitForLines { $0.count == 1000 }
            // Some heartbeats are due meanwhile.
            try await Task.sleep(for: .milliseconds(500))
            let start = ContinuousClock.now
            run.closeInput()
            let result = try await run.result()
            #expect(result.status == 0 && ContinuousClock.now - start < .seconds(3))
            #expect(!result.errors.contains(#""level":"warning""#) && !result.errors.contains(#""level":"error""#))
        }
    }

    @Test func `Heartbeats can be switched off, and commands that are no stages have none`() async throws {
        let run = try ToolRun("ratelimit", ["-n", "3"], environment: environment("off"))
        let command = try ToolRun("ev-queue", ["wait", "jobs", "--timeout", "1s"], environment: environment("100ms"))
        _ = try await command.result()
        #expect(try names.isEmpty)
        run.closeInput()
        _ = try await run.result()
        let wrong = try await ToolRun.run("ratelimit", ["-n", "3"], environment: environment("soon"))
        #expect(wrong.status == 78 && wrong.errors.contains("TGPIPE_HEARTBEAT must be off, or a duration"))
    }

    @Test func `The last error is told`() async throws {
        let run = try ToolRun("blob-put", ["--store", "file:\(folder("store"))"], environment: environment())
        let key = "video/\(String(repeating: "9f", count: 32)).mp4"
        let payload =
            #"{"kind":"video","key":"\#(key)","path":"\#(folder("gone.mp4"))","size_bytes":7,"sha256":"\#(key.dropFirst(6).dropLast(4))","#
            + #""content_type":"video/mp4","file_name":"a.mp4","source_url":"https://example.com/a","#
            + #""normalized_url":"https://example.com/a","domain":"example.com","fetched_at":"2026-01-01T00:00:00Z"}"#
        run.send(
            #"{"type":"events.media.fetched","correlation_id":"0191e0a0-0000-7000-8000-000000000000","payload":\#(payload)}"#
        )
        let (_, beat) = try await heartbeat { $0["last_error"] != nil }
        #expect(beat["last_error"]?["message"]?.string?.hasPrefix("unable to store") == true)
        run.closeInput()
        _ = try await run.result()
    }
}

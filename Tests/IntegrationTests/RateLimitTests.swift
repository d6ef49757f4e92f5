import Envelope
import Glibc
import JSON
import Redis
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct RateLimitTests {
    private let server: RedisServer

    init() throws { server = try RedisServer() }

    private func run(_ arguments: String..., input: String) async throws -> ToolRun.Result {
        try await ToolRun.run("ratelimit", arguments, input: input, environment: ["TGPIPE_REDIS": server.address])
    }

    /// Makes a command event of `user`, as tg-gate does.
    private func command(user: Int, message: Int = 1, role: String = "blessed") -> String {
        #"{"id":"0191e0a0-0000-7000-8000-00000000000\#(user % 10)","type":"commands.media.video_download","version":1,"#
            + #""correlation_id":"0191e0a0-0000-7000-8000-000000000000","timestamp":"2026-01-01T00:00:00.000000Z","#
            + #""payload":{"url":"https://example.org/v"},"meta":{"received_at":"2026-01-01T00:00:00.000000Z","#
            + #""actor":{"id":\#(user),"name":"U"},"role":"\#(role)","#
            + #""origin":{"chat_id":-100,"message_id":\#(message),"chat_type":"supergroup"}}}"#
    }

    /// Makes a raw event that tg-gate has not seen.
    private func raw(_ update: String) -> String {
        #"{"type":"events.telegram.raw","correlation_id":"0191e0a0-0000-7000-8000-000000000000","#
            + #""payload":{"update_id":1,\#(update)}}"#
    }

    private func parsed(_ line: String) throws -> Envelope { try Envelope(JSON(parsing: line)) }

    @Test func `Events that do not match or are within the limit are forwarded byte for byte`() async throws {
        let odd = #"{ "zzz":[1.50,1e3], "type" :"a.b" ,"correlation_id":"0191E0A0-0000-7000-8000-000000000000"}"#
        let input = odd + "\r\n" + command(user: 1) + "\n" + odd
        let result = try await run("-m", "commands.#", "-n", "1", input: input)
        #expect(result.status == 0)
        #expect(result.output == input + "\n")
    }

    @Test func `Events without a user pass, and that is told once`() async throws {
        let bare = #"{"type":"a.b","correlation_id":"0191e0a0-0000-7000-8000-000000000000"}"#
        let result = try await run("-n", "1", input: [bare, bare, bare].joined(separator: "\n"))
        #expect(result.lines == [bare, bare, bare])
        let warnings = result.errors.split(separator: "\n").filter { $0.contains(#""level":"warning""#) }
        #expect(warnings.count == 1 && warnings[0].contains("an event without a user passes uncounted"))
        #expect(result.errors.contains(#""uncounted":3"#))
    }

    @Test func `Events over the limit are marked with the limit and the retry time`() async throws {
        let input = [command(user: 1), command(user: 1), command(user: 2)].joined(separator: "\n")
        let result = try await run("-m", "commands.#", "-n", "1", "-w", "90s", "--name", "test", input: input)
        #expect(result.lines.count == 3)
        #expect(result.lines[0] == command(user: 1))
        #expect(result.lines[2] == command(user: 2))
        let marked = try parsed(result.lines[1])
        let original = try parsed(command(user: 1))
        #expect(marked.payload == original.payload)
        #expect(marked.id == original.id)
        #expect(marked.meta["rate_limited"] == true)
        let rule = try #require(marked.meta["rate_limit"])
        #expect(rule["name"] == "test" && rule["limit"] == 1 && rule["window_seconds"] == 90)
        let wait = try #require(rule["retry_after_seconds"]?.int)
        #expect((1...90).contains(wait))
    }

    @Test(arguments: ["fixed", "sliding", "token-bucket"])
    func `Events over the limit can be dropped`(algorithm: String) async throws {
        let input = (1...5).map { command(user: 1, message: $0) }
        let result = try await run(
            "-n", "3", "--on-limit", "drop", "--algorithm", algorithm, input: input.joined(separator: "\n"))
        #expect(result.lines == Array(input.prefix(3)))
    }

    /// Makes many events of some users, each event with its number.
    private func flood(_ count: Int, users: Int) -> [String] {
        (0..<count).map { number in
            #"{"id":"0191e0a0-0000-7000-8000-000000000000","type":"my.event","version":1,"#
                + #""correlation_id":"0191e0a0-0000-7000-8000-000000000000","timestamp":"2026-01-01T00:00:00.000000Z","#
                + #""payload":{"n":\#(number)},"meta":{"actor":{"id":\#(number * 7919 % users + 1),"name":"A"}}}"#
        }
    }

    @Test(arguments: ["fixed", "sliding", "token-bucket"])
    func `Events of many batches keep their order, and the first ones are allowed`(algorithm: String) async throws {
        // Many times what is read at once, so that batches are asked about while others wait for their answer.
        let input = flood(60_000, users: 700)
        let result = try await run(
            "-n", "40", "-w", "1h", "--algorithm", algorithm, "--name", algorithm, input: input.joined(separator: "\n"))
        #expect(result.status == 0)
        #expect(result.lines.count == input.count)
        var seen: [Int: Int] = [:]
        for (number, (line, given)) in zip(result.lines, input).enumerated() {
            let user = number * 7919 % 700
            seen[user, default: 0] += 1
            if seen[user, default: 0] <= 40 {
                guard line == given else { throw Mismatch(line: line) }
            } else {
                guard line.contains(#""n":\#(number)}"#), line.contains(#""rate_limited":true"#) else {
                    throw Mismatch(line: line)
                }
            }
        }
    }

    private struct Mismatch: Error { let line: String }

    @Test func `When Redis goes away between two batches, all events are forwarded in order`() async throws {
        let input = flood(60_000, users: 700)
        let started = try ToolRun(
            "ratelimit", ["-n", "1000", "-w", "1h", "--on-limit", "drop", "--fail", "open"],
            environment: ["TGPIPE_REDIS": server.address])
        started.send(Array((input.prefix(20_000).joined(separator: "\n") + "\n").utf8))
        _ = try await started.waitForLines { $0.count > 1000 }
        // The batches in flight wait for a server that does not answer, and then lose it.
        server.freeze()
        started.send(Array((input[20_000..<40_000].joined(separator: "\n") + "\n").utf8))
        server.kill()
        started.send(Array((input[40_000...].joined(separator: "\n") + "\n").utf8))
        started.closeInput()
        let result = try await started.result()
        #expect(result.status == 0)
        #expect(result.lines == input)
        #expect(result.errors.contains("until it is back, events are forwarded uncounted"))
    }

    @Test func `An answer that no batch can be decided on with ends the tool after the batches before it`() async throws
    {
        try server.cli("HSET", "tgpipe:rate:wrong:{9999}", "f", "v")
        let good = flood(20_000, users: 700)
        let bad = good[0].replacing(#""actor":{"id":1,"#, with: #""actor":{"id":9999,"#)
        let started = try ToolRun(
            "ratelimit", ["-n", "1000", "-w", "1h", "--name", "wrong"], environment: ["TGPIPE_REDIS": server.address])
        started.send(Array((good.joined(separator: "\n") + "\n").utf8))
        _ = try await started.waitForLines { $0.count == good.count }
        started.send(Array((([bad] + good).joined(separator: "\n") + "\n").utf8))
        let result = try await started.result()
        #expect(result.status == 78)
        #expect(Array(result.lines.prefix(good.count)) == good)
        // What was asked about after it is not written: its event would be missing before it.
        #expect(result.lines.count == good.count)
        #expect(result.errors.contains("WRONGTYPE"))
    }

    @Test func `One reply for each window and key goes to the event's chat and other events are dropped`() async throws
    {
        let input = (1...4).map { command(user: 1, message: $0) } + [command(user: 2), command(user: 2)]
        let result = try await run(
            "-m", "commands.#", "-n", "1", "--on-limit", "reply", input: input.joined(separator: "\n"))
        #expect(result.lines.count == 4)
        let answer = try parsed(result.lines[1])
        #expect(answer.type == "commands.telegram.reply")
        #expect(answer.payload["text"]?.string?.hasPrefix("Too many requests: try again in ") == true)
        let refused = try parsed(input[1])
        #expect(answer.meta == refused.meta)
        #expect(answer.correlationID == refused.correlationID)
        #expect(answer.causationID == refused.id)
        #expect(try parsed(result.lines[3]).type == "commands.telegram.reply")
    }

    @Test func `Exempt roles are never limited`() async throws {
        let admin = Array(repeating: command(user: 1, role: "admin"), count: 3)
        let blessed = Array(repeating: command(user: 2, role: "blessed"), count: 3)
        let input = (admin + blessed).joined(separator: "\n")
        let usual = try await run("-n", "1", "--on-limit", "drop", "--name", "a", input: input)
        #expect(usual.lines == admin + [blessed[0]])
        let none = try await run(
            "-n", "1", "--on-limit", "drop", "--name", "b", "--exempt-role", "none", input: input)
        #expect(none.lines == [admin[0], blessed[0]])
        let both = try await run(
            "-n", "1", "--on-limit", "drop", "--name", "c", "--exempt-role", "admin", "--exempt-role", "blessed",
            input: input)
        #expect(both.lines == admin + blessed)
    }

    @Test func `The key can be the user, the chat or any field, and events without it are forwarded`() async throws {
        let message = raw(#""message":{"from":{"id":7},"chat":{"id":-100}}"#)
        let edited = raw(#""edited_message":{"from":{"id":7},"chat":{"id":-200}}"#)
        let button = raw(#""callback_query":{"from":{"id":8},"message":{"chat":{"id":-100}}}"#)
        let nobody = raw(#""poll":{"id":"5"}"#)
        let input = [message, edited, button, nobody, nobody].joined(separator: "\n")
        func passed(by key: String) async throws -> [String] {
            try await run("-n", "1", "--on-limit", "drop", "--key", key, input: input).lines
        }
        #expect(try await passed(by: "user") == [message, button, nobody, nobody])
        #expect(try await passed(by: "chat") == [message, edited, nobody, nobody])
        #expect(try await passed(by: "payload.poll.id") == [message, edited, button, nobody])
        #expect(try await passed(by: "payload.update_id") == [message])
        #expect(try await passed(by: "type") == [message])
    }

    @Test func `A key of any length is counted and no long key is stored`() async throws {
        func events(_ key: String) -> [String] {
            (1...2).map { number in
                #"{"type":"a.b","correlation_id":"0191e0a0-0000-7000-8000-000000000000","#
                    + #""payload":{"n":\#(number),"url":"\#(key)"}}"#
            }
        }
        let long = String(repeating: "x", count: 1 << 20)
        let input = events(long + "1") + events(long + "2") + events(String(repeating: "y", count: 200))
        let result = try await run(
            "--key", "payload.url", "-n", "1", "--on-limit", "drop", "--name", "long",
            input: input.joined(separator: "\n"))
        #expect(try result.envelopes().map { $0.payload["n"] } == [1, 1, 1])
        let keys = try server.cli("KEYS", "tgpipe:rate:long:*").split(separator: "\n")
        #expect(keys.count == 3 && keys.allSatisfy { $0.utf8.count < 250 })
    }

    @Test func `One limit can be checked in one place and counted in another`() async throws {
        let request = command(user: 1)
        func stage(_ mode: String, _ count: Int) async throws -> Int {
            let input = Array(repeating: request, count: count).joined(separator: "\n")
            return try await run(
                "-n", "2", "--name", "media", "--on-limit", "drop", "--mode", mode, input: input
            ).lines.count
        }
        #expect(try await stage("check", 5) == 5)
        #expect(try await stage("count", 2) == 2)
        #expect(try await stage("check", 5) == 0)
        #expect(try await stage("count", 5) == 5)
    }

    @Test func `Several processes share one count`() async throws {
        let input = Array(repeating: command(user: 1), count: 100).joined(separator: "\n")
        async let one = run("-n", "60", "--on-limit", "drop", input: input)
        async let two = run("-n", "60", "--on-limit", "drop", input: input)
        #expect(try await one.lines.count + two.lines.count == 60)
    }

    @Test func `A large batch is decided in order`() async throws {
        let input = (0..<5000).map { command(user: $0 % 100, message: $0) }
        let result = try await run("-n", "10", "--on-limit", "drop", input: input.joined(separator: "\n"))
        #expect(result.lines == Array(input.prefix(1000)))
    }

    @Test func `Malformed lines are reported at the end and other events are handled`() async throws {
        let good = command(user: 1)
        let result = try await run("-n", "1", input: "{\n\(good)\n{\"type\":\"a.b\"}\n")
        #expect(result.lines == [good])
        #expect(result.status == 65)
    }

    @Test func `Without Redis events are forwarded or limited, as configured`() async throws {
        server.stop()
        let input = (1...3).map { command(user: 1, message: $0) }
        let text = input.joined(separator: "\n")
        let open = try await run("-n", "1", "--on-limit", "drop", input: text)
        #expect(open.status == 0)
        #expect(open.lines == input)
        let closed = try await run("-n", "1", "--fail", "closed", input: text)
        #expect(closed.status == 0)
        #expect(try closed.lines.map { try parsed($0).meta["rate_limited"] } == [true, true, true])
        let answered = try await run("-n", "1", "--fail", "closed", "--on-limit", "reply", input: text)
        #expect(answered.lines.count == 1)
    }

    @Test func `The tool survives a crash of Redis and limits again afterwards`() async throws {
        let tool = try ToolRun(
            "ratelimit", ["-n", "1", "--on-limit", "drop"], environment: ["TGPIPE_REDIS": server.address])
        tool.send(command(user: 1, message: 1))
        _ = try await tool.waitForLines { $0.count == 1 }
        server.kill()
        tool.send(command(user: 1, message: 2))
        #expect(try await tool.waitForLines { $0.count == 2 }.last == command(user: 1, message: 2))
        try server.start()
        // The first that Redis is asked about again is allowed, for the count died with it; after that one, none is.
        #expect(
            try await eventually {
                tool.send(command(user: 1, message: 3))
                return tool.log.contains("over the limit")
            })
        #expect(tool.log.contains("Redis is back"))
        tool.closeInput()
        #expect(try await tool.result().status == 0)
    }

    @Test func `On SIGTERM the tool handles the events it has read and ends`() async throws {
        let tool = try ToolRun("ratelimit", ["-n", "1"], environment: ["TGPIPE_REDIS": server.address])
        tool.send(command(user: 1))
        _ = try await tool.waitForLines { $0.count == 1 }
        tool.signal(SIGTERM)
        #expect(try await tool.result().status == 0)
    }

    @Test func `Without a configured Redis a private one is started`() async throws {
        let folder = try TemporaryFolder()
        let input = (1...3).map { command(user: 1, message: $0) }.joined(separator: "\n")
        for expected in [1, 0] {
            let result = try await ToolRun.run(
                "ratelimit", ["-n", "1", "--on-limit", "drop"], input: input, folder: folder)
            #expect(result.lines.count == expected)
        }
        _ = try SpawnedProgram.output(of: ["redis-cli", "-s", folder("state/redis/redis.sock"), "shutdown", "nosave"])
    }

    @Test func `A refused password or a wrong address ends the tool at once`() async throws {
        let locked = try RedisServer(configuration: ["requirepass secret"])
        let refused = try await ToolRun.run(
            "ratelimit", ["-n", "1"], input: "", environment: ["TGPIPE_REDIS": locked.address])
        #expect(refused.status == 77)
        let wrong = try await ToolRun.run(
            "ratelimit", ["-n", "1"], input: "", environment: ["TGPIPE_REDIS": "redis://user:hunter2@"])
        #expect(wrong.status == 78)
        #expect(!wrong.errors.contains("hunter2"))
    }

    @Test(arguments: [
        [], ["-n", "0"], ["-n", "x"], ["-n", "1", "-w", "0s"], ["-n", "1", "--burst", "2"],
        ["-n", "1", "--name", "a b"], ["-n", "200000", "--algorithm", "sliding"], ["-n", "1", "-m", "a..b"],
        ["-n", "1", "--on-limit", "explode"], ["-n", "1", "--key", "a..b"], ["-n", "1", "--key", "anything"],
    ])
    func `Contradictory arguments are refused`(arguments: [String]) async throws {
        let result = try await ToolRun.run("ratelimit", arguments, input: "")
        #expect(result.status == 64)
        #expect(result.output.isEmpty)
    }
}

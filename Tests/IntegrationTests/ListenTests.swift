import Envelope
import Foundation
import JSON
import Redis
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct ListenTests {
    private let telegram: BotEmulator
    private let folder: TemporaryFolder
    private let ann = BotEmulator.User(42, "Ann", username: "ann")

    init() throws {
        telegram = try BotEmulator()
        folder = try TemporaryFolder()
    }

    private var state: [String] { ["--state", folder("offset")] }

    private func listen(_ arguments: [String]) async throws -> ToolRun.Result {
        try await ToolRun.run("tg-listen", ["--bot", "--once"] + state + arguments, environment: telegram.environment)
    }

    @Test func `Updates become envelopes with ids of their own`() async throws {
        try await telegram.say("hello", as: ann)
        try await telegram.say("again", as: ann)
        let result = try await listen([])
        #expect(result.status == 0)
        let events = try result.envelopes()
        #expect(events.map { $0.payload["message"]?["text"] } == ["hello", "again"])
        #expect(events.allSatisfy { $0.type == "events.telegram.raw" && $0.id.version == 7 && $0.version == 1 })
        #expect(Set(events.map(\.correlationID)).count == 2)
        #expect(events.allSatisfy { $0.meta["received_at"]?.string.flatMap { Timestamp($0) } != nil })
        #expect(events.allSatisfy { $0.meta["bot"]?["id"] == .integer(BotEmulator.botID) })
        #expect(result.errors.contains("dispatch_ms"))
    }

    @Test(arguments: [true, false]) func `Privacy mode is reported once, when a group's update shows that it matters`(
        _ isPrivate: Bool
    ) async throws {
        try await telegram.server.call("POST", "/control/privacy", ["enabled": .bool(isPrivate)])
        try await telegram.say("hello", as: ann)
        #expect(!(try await listen([])).errors.contains("privacy mode"))
        for _ in 1...3 {
            try await telegram.server.call(
                "POST", "/control/message",
                [
                    "chat_id": -300, "chat_type": "group", "title": "Team", "from": ["id": 42, "first_name": "Ann"],
                    "text": "/hi",
                ])
        }
        let result = try await listen([])
        #expect(result.lines.count == 3)
        #expect(result.errors.components(separatedBy: "privacy mode").count - 1 == (isPrivate ? 1 : 0))
        #expect(result.errors.contains("/setprivacy") == isPrivate)
    }

    @Test func `A listener ends with its reader, and needs no further update for that`() async throws {
        try await telegram.say("hello", as: ann)
        let variables = telegram.environment.map { "\($0)='\($1)'" }.joined(separator: " ")
        let tool = "\(ToolRun.path(of: "tg-listen")) --bot --state \(folder("offset"))"
        let script =
            "export \(variables) HOME='\(folder.path)'; \(tool) 2>\(folder("log")) | head -n 1; echo ${PIPESTATUS[0]}"
        let lines = try SpawnedProgram.output(of: ["bash", "-c", script]).split(separator: "\n")
        #expect(lines.count == 2 && lines.first?.contains("hello") == true, "\(lines)")
        #expect(lines.last == "74")
        let log = try String(contentsOfFile: folder("log"), encoding: .utf8)
        #expect(log.contains("standard output has no reader any more"), "\(log)")
        // What the reader has taken is not repeated.
        #expect(try await listen([]).lines.isEmpty)
    }

    @Test func `A restart loses and repeats no update`() async throws {
        try await telegram.say("1", as: ann)
        #expect(try await listen([]).lines.count == 1)
        #expect(try await listen([]).lines.isEmpty)
        try await telegram.say("2", as: ann)
        #expect(try await listen([]).envelopes().map { $0.payload["message"]?["text"] } == ["2"])
    }

    @Test func `The offset is kept in Redis when no file is named`() async throws {
        let redis = try RedisServer()
        let environment = telegram.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 }
        try await telegram.say("1", as: ann)
        for expected in [1, 0] {
            let result = try await ToolRun.run("tg-listen", ["--once"], environment: environment)
            #expect(result.status == 0)
            #expect(result.lines.count == expected)
        }
        #expect(try redis.cli("GET", "tgpipe:listen:{queues}:\(BotEmulator.botID):offset") != "")
    }

    @Test func `The offset that an earlier version has kept is taken over`() async throws {
        let redis = try RedisServer()
        let environment = telegram.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 }
        try await telegram.say("1", as: ann)
        _ = try await ToolRun.run("tg-listen", ["--once"], environment: environment)
        let former = "tgpipe:listen:\(BotEmulator.botID):offset"
        _ = try redis.cli("RENAME", "tgpipe:listen:{queues}:\(BotEmulator.botID):offset", former)
        try await telegram.say("2", as: ann)
        let result = try await ToolRun.run("tg-listen", ["--once"], environment: environment)
        #expect(try result.envelopes().map { $0.payload["message"]?["text"] } == ["2"])
        #expect(try redis.cli("EXISTS", former) == "0")
        // An earlier version that has run once more is further.
        let present = "tgpipe:listen:{queues}:\(BotEmulator.botID):offset"
        _ = try redis.cli("SET", former, redis.cli("GET", present))
        _ = try await ToolRun.run("tg-listen", ["--once"], environment: environment)
        #expect(try redis.cli("EXISTS", former) == "0")
    }

    @Test func `Updates that the output did not accept are not confirmed`() async throws {
        for number in 1...3 { try await telegram.say("\(number)", as: ann) }
        let full = try await listen(["--to", "/dev/full"])
        #expect(full.status == 74)
        #expect(full.errors.contains("unable to write"))
        #expect(try await listen([]).lines.count == 3)
    }

    @Test func `A single look ends with 69 where Telegram cannot be reached`() async throws {
        let nobody = "http://127.0.0.1:\(try LoopbackListener.freePort())"
        let result = try await ToolRun.run(
            "tg-listen", ["--bot", "--once"] + state,
            environment: telegram.environment.merging(["TG_BOT_API_URL": nobody]) { $1 })
        #expect(result.status == 69, "\(result.errors)")
        #expect(result.errors.contains("unable to reach Telegram"))
    }

    /// The listener is killed at random moments while messages stream in; every one arrives once. A kill may tear a line: the
    /// next start ends it, and its update follows anew.
    @Test func `A killed listener resumes where it stopped`() async throws {
        let output = folder("out.ndjson")
        let total: Int64 = 2000
        let writer = Task {
            for start in stride(from: Int64(0), to: total, by: 50) {
                try await telegram.server.call(
                    "POST", "/control/burst",
                    .object([
                        "chat_id": 42, "from": ["id": 42, "first_name": "Ann"], "text": .string("m\(start)-{n}"),
                        "count": 50,
                    ]))
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        let kills = 25
        for _ in 0..<kills {
            let run = try ToolRun("tg-listen", state + ["--to", output], environment: telegram.environment)
            try await Task.sleep(for: .milliseconds(Int.random(in: 30...120)))
            run.signal(SIGKILL)
            #expect(try await run.result().status == 128 + SIGKILL)
        }
        try await writer.value
        let last = try await listen(["--to", output])
        #expect(last.status == 0)
        let lines = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n").map(String.init)
        let ids = lines.compactMap { line in (try? Envelope(JSON(parsing: line)))?.payload["update_id"]?.int }
        #expect(Set(ids).count == Int(total))
        #expect(ids.count == Int(total))
        #expect(ids == ids.sorted())
        let torn = lines.filter { (try? JSON(parsing: $0)) == nil }
        #expect(lines.count == ids.count + torn.count && torn.count <= kills)
        // The beginning of a line, and nothing of the next one.
        let start = #"{"id":""#
        #expect(torn.allSatisfy { $0.hasPrefix(start) || start.hasPrefix($0) }, "\(torn)")
        #expect(torn.allSatisfy { $0.components(separatedBy: #""type":"events.telegram.raw""#).count <= 2 }, "\(torn)")
    }

    /// Lets a listener write an update to a file, and kills it before it has confirmed the update to Telegram.
    ///
    /// - Returns: the file's line.
    private func emitAndKill(_ output: String) async throws -> String {
        let run = try ToolRun("tg-listen", state + ["--to", output], environment: telegram.environment)
        while try await telegram.calls("getUpdates").last?["params"]?["timeout"] == nil {
            try await Task.sleep(for: .milliseconds(5))
        }
        // The poll under way is not touched by it.
        try await telegram.fault("getUpdates", "hang", times: 100)
        try await telegram.say("once", as: ann)
        #expect(try await eventually { run.log.contains("dispatched") })
        run.signal(SIGKILL)
        _ = try await run.result()
        try await telegram.server.call("DELETE", "/control/fault")
        return try String(contentsOfFile: output, encoding: .utf8)
    }

    @Test(arguments: [0, 1, 2, 100])
    func `A line that a kill has torn is ended and emitted anew, and one that lacks only its end is kept`(
        _ missing: Int
    ) async throws {
        let output = folder("out.ndjson")
        let line = try await emitAndKill(output)
        // The kill came between these bytes and the offset.
        try String(line.dropLast(missing)).write(toFile: output, atomically: false, encoding: .utf8)
        try FileManager.default.removeItem(atPath: folder("offset"))
        #expect(try await listen(["--to", output]).status == 0)
        let lines = try String(contentsOfFile: output, encoding: .utf8).components(separatedBy: "\n")
        guard missing > 1 else { return #expect(lines == [String(line.dropLast()), ""]) }
        #expect(lines.count == 3 && lines[0] == String(line.dropLast(missing)) && lines[2].isEmpty)
        #expect(try Envelope(JSON(parsing: lines[1])).payload["message"]?["text"] == "once")
    }

    @Test(arguments: ["409", "429", "500", "502", "drop", "garbage"])
    func `Telegram's transient failures are retried`(_ fault: String) async throws {
        try await telegram.say("hello", as: ann)
        try await telegram.fault("getUpdates", fault, ["retry_after": 1])
        let run = try ToolRun("tg-listen", state, environment: telegram.environment)
        _ = try await run.waitForLines { $0.count == 1 }
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
    }

    @Test(arguments: [(2, 2.0), (0, 1)])
    func `A wait that Telegram demands of the first call is waited out`(_ seconds: Int, _ least: Double) async throws {
        try await telegram.say("hello", as: ann)
        try await telegram.fault("getMe", "429", times: 2, ["retry_after": .integer(Int64(seconds))])
        let run = try ToolRun("tg-listen", state, environment: telegram.environment)
        _ = try await run.waitForLines { $0.count == 1 }
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        let calls = try await telegram.calls("getMe")
        #expect(calls.map { $0["status"] } == [429, 429, 200])
        let starts = calls.compactMap { $0["started_at"]?.double }
        #expect(zip(starts, starts.dropFirst()).allSatisfy { $1 - $0 >= least }, "\(starts)")
    }

    @Test func `A signal ends a long wait that Telegram demands of the first call`() async throws {
        try await telegram.fault("getMe", "429", times: 100, ["retry_after": 86_400])
        let run = try ToolRun("tg-listen", state, environment: telegram.environment)
        #expect(try await eventually { run.log.contains("trying again in") })
        try await Task.sleep(for: .milliseconds(500))
        run.signal(SIGTERM)
        #expect(try await run.result(deadline: .seconds(10)).status == 0)
        #expect(try await telegram.calls("getMe").count == 1)
    }

    @Test func `A server that is no Bot API server from the start ends tg-listen`() async throws {
        try await telegram.fault("getMe", "garbage", ["times": 100])
        let result = try await ToolRun.run("tg-listen", state, environment: telegram.environment)
        #expect(result.status == 76)
        #expect(result.errors.contains("not a Bot API server's"))
    }

    @Test func `The help says what the privacy mode of a bot hides`() async throws {
        let help = try SpawnedProgram.output(of: [ToolRun.path(of: "tg-listen"), "--help"])
        #expect(help.contains("privacy mode") && help.contains("/setprivacy"))
    }

    @Test func `A refused token is reported without showing it`() async throws {
        let secret = "1:AAAA-secret-secret"
        let result = try await ToolRun.run(
            "tg-listen", ["--once"] + state, environment: telegram.environment.merging(["TG_BOT_TOKEN": secret]) { $1 })
        #expect(result.status == 77)
        #expect(result.errors.contains("refuses the bot token"))
        #expect(!result.errors.contains("secret-secret"))
    }

    @Test func `An unreachable server is reported without the token`() async throws {
        let run = try ToolRun(
            "tg-listen", state,
            environment: ["TG_BOT_TOKEN": BotEmulator.token, "TG_BOT_API_URL": "http://127.0.0.1:1"])
        #expect(try await eventually { run.log.contains("trying again") })
        run.signal(SIGTERM)
        let result = try await run.result()
        #expect(result.status == 0)
        #expect(!result.errors.contains("TEST-token"))
    }

    @Test func `A missing token is a configuration error`() async throws {
        #expect(try await ToolRun.run("tg-listen", ["--once"] + state).status == 78)
    }

    @Test func `Only the requested kinds of updates arrive`() async throws {
        let message = try await telegram.say("hello", as: ann)
        // What is not asked for is only held back from the first call on that says so.
        _ = try await listen(["--allowed-updates", "edited_message"])
        try await telegram.server.call(
            "POST", "/control/edit", ["chat_id": 42, "message_id": .integer(message), "text": "changed"])
        try await telegram.say("not asked for", as: ann)
        let events = try await listen(["--allowed-updates", "edited_message"]).envelopes()
        #expect(events.map { $0.payload["edited_message"]?["text"] } == ["changed"])
    }

    @Test func `Two listeners cannot share a state file`() async throws {
        let first = try ToolRun("tg-listen", state, environment: telegram.environment)
        #expect(try await eventually { first.log.contains("listening") })
        let second = try await listen([])
        #expect(second.status == 75)
        #expect(second.errors.contains("in use by another"))
    }

    /// The first listener is killed before it has confirmed its update to Telegram.
    @Test func `An offset that Redis lost is restored from the state file`() async throws {
        let redis = try RedisServer()
        let environment = telegram.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 }
        let first = try ToolRun("tg-listen", environment: environment, folder: folder)
        while try await telegram.calls("getUpdates").last?["params"]?["timeout"] == nil {
            try await Task.sleep(for: .milliseconds(5))
        }
        // The poll under way is not touched by it.
        try await telegram.fault("getUpdates", "hang", times: 100)
        try await telegram.say("once", as: ann)
        _ = try await first.waitForLines { $0.count == 1 }
        #expect(
            try await eventually { try redis.cli("GET", "tgpipe:listen:{queues}:\(BotEmulator.botID):offset") != "" })
        first.signal(SIGKILL)
        _ = try await first.result()
        try await telegram.server.call("DELETE", "/control/fault")
        try redis.cli("FLUSHALL")
        let second = try await ToolRun.run("tg-listen", ["--once"], environment: environment, folder: folder)
        #expect(second.status == 0)
        #expect(second.lines.isEmpty)
        #expect(second.errors.contains("Redis has no offset"))
    }

    @Test func `A full disk is reported before anything is emitted`() async throws {
        try await telegram.say("1", as: ann)
        let full = try await ToolRun.run(
            "tg-listen", ["--once", "--state", "/dev/full"], environment: telegram.environment)
        #expect(full.status == 74)
        #expect(full.errors.contains("unable to write the state file /dev/full: No space left on device"))
        #expect(full.output.isEmpty)
    }

    @Test(arguments: ["", "12", "x\n", "{}\n"])
    func `A damaged state file is refused`(_ text: String) async throws {
        try text.write(toFile: folder("offset"), atomically: true, encoding: .utf8)
        #expect(try await listen([]).status == (text.isEmpty ? 0 : 78))
    }

    @Test func `A signal ends the wait for a reader at once`() async throws {
        let fifo = folder("out.fifo")
        #expect(mkfifo(fifo, 0o600) == 0)
        let run = try ToolRun("tg-listen", state + ["--to", fifo], environment: telegram.environment)
        #expect(try await eventually { FileManager.default.fileExists(atPath: folder("offset")) })
        run.signal(SIGTERM)
        #expect(try await run.result(deadline: .seconds(10)).status == 128 + SIGTERM)
    }

    @Test(arguments: ["500ms", "51s"])
    func `A poll's timeout is between 1 and 50 seconds`(_ time: String) async throws {
        #expect(try await listen(["--poll-timeout", time]).status == 64)
    }

    @Test func `A dispatch time of several seconds is measured correctly`() async throws {
        let fifo = folder("out.fifo")
        #expect(mkfifo(fifo, 0o600) == 0)
        let reading = open(fifo, O_RDWR)
        defer { close(reading) }
        let filler = [UInt8](repeating: 10, count: 65_536)
        #expect(write(reading, filler, filler.count) == filler.count)
        try await telegram.say("hello", as: ann)
        let run = try ToolRun("tg-listen", ["--once", "--to", fifo] + state, environment: telegram.environment)
        #expect(try await eventually { run.log.contains("listening") })
        try await Task.sleep(for: .seconds(2))
        var taken = filler
        #expect(read(reading, &taken, taken.count) > 0)
        let log = try await run.result().errors
        let times = log.split(separator: "\n").compactMap {
            try? JSON(parsing: String($0))["dispatch_ms"]?.double
        }
        #expect(times.count == 1 && times.allSatisfy { $0 > 1000 })
    }

    @Test func `A signal ends a long poll at once`() async throws {
        let run = try ToolRun("tg-listen", state, environment: telegram.environment)
        #expect(try await eventually { run.log.contains("listening") })
        run.signal(SIGINT)
        #expect(try await run.result(deadline: .seconds(5)).status == 0)
    }
}

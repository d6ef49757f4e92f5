import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Records and replays events with the tool.
@Suite(.timeLimit(.minutes(3))) struct ReplayToolTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func id(_ number: Int, _ kind: Int = 8) -> String {
        "0191e0a0-0000-7000-\(kind)000-\(String(repeating: "0", count: 12 - String(number).count))\(number)"
    }

    private func line(_ number: Int, type: String = "events.test.tick", at seconds: Double = 0, payload: String = "")
        -> String
    {
        let time = Timestamp(microseconds: 1_767_225_600_000_000 + Int64(seconds * 1_000_000))
        return #"{"id":"\#(id(number))","type":"\#(type)","version":1,"correlation_id":"\#(id(number / 2, 9))","#
            + #""timestamp":"\#(time)","payload":{"number":\#(number)\#(payload)},"meta":{}}"#
    }

    private func write(_ lines: [String], to name: String, ending: String = "\n") throws {
        try (lines.joined(separator: "\n") + ending).write(toFile: folder(name), atomically: true, encoding: .utf8)
    }

    private func replay(_ arguments: String..., input: String = "") async throws -> ToolRun.Result {
        try await ToolRun.run("ev-replay", arguments, input: input, folder: folder)
    }

    @Test func `What is recorded passes through unchanged and is replayed byte for byte`() async throws {
        let lines = (0..<2000).map { line($0, payload: #","text":"ä € 😀 \u0000""#) }
        let input = lines.joined(separator: "\n")
        let recorded = try await replay("record", folder("run"), "--edge", "gate", input: input)
        #expect(recorded.status == 0 && recorded.output == input + "\n")
        #expect(try String(contentsOfFile: folder("run"), encoding: .utf8) == input + "\n")
        let replayed = try await replay("--speed", "max", folder("run"), "--edge", "gate")
        #expect(replayed.status == 0 && replayed.output == input + "\n")
        #expect(try await replay(folder("run"), "--edge", "send").output.isEmpty)
        for name in ["run", "run.times"] {
            let mode = try FileManager.default.attributesOfItem(atPath: folder(name))[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test func `Several recorders write into one file, and each event keeps its edge and its time`() async throws {
        let events = (0..<8).map { edge in (0..<500).map { line(edge * 500 + $0) } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for edge in 0..<8 {
                group.addTask {
                    let input = events[edge].joined(separator: "\n")
                    let result = try await self.replay("record", self.folder("run"), "--edge", "e\(edge)", input: input)
                    #expect(result.status == 0)
                }
            }
            try await group.waitForAll()
        }
        for edge in 0..<8 {
            let result = try await replay("--speed", "max", folder("run"), "--edge", "e\(edge)")
            #expect(result.lines == events[edge])
            #expect(!result.errors.contains("have no time"))
        }
    }

    @Test func `Events keep their distances, divided by the speed`() async throws {
        try write((0..<5).map { line($0, at: Double($0) * 0.4) }, to: "run")
        for (speed, seconds) in [("1", 1.6), ("4", 0.4)] {
            let start = ContinuousClock.now
            let result = try await replay("--speed", speed, folder("run"))
            let took = (ContinuousClock.now - start) / .seconds(1)
            #expect(result.lines.count == 5 && (seconds..<seconds + 1).contains(took), "\(took)")
        }
    }

    @Test func `The times of the recorder set the pace, and not those of the events`() async throws {
        let run = try ToolRun("ev-replay", ["record", folder("run")], folder: folder)
        for number in 0..<3 {
            run.send(line(number, at: Double(number) * 1000))
            _ = try await run.waitForLines { $0.count == number + 1 }
            try await Task.sleep(for: .milliseconds(100))
        }
        run.closeInput()
        #expect(try await run.result().status == 0)
        let listed = try await replay("--dry-run", folder("run")).lines.map { try JSON(parsing: $0) }
        let last = try #require(listed.last?["offset_ms"]?.int)
        #expect((200..<60_000).contains(last))
        let own = try await replay("--dry-run", "--ignore-times", folder("run")).lines.map { try JSON(parsing: $0) }
        #expect(own.map { $0["offset_ms"] } == [0, 1_000_000, 2_000_000])
    }

    @Test(arguments: [
        "commands.telegram.send", "commands.telegram.history", "commands.telegram.unheard_of", "events.dl.video.ready",
        "events.media.progress", "events.media.fetched", "events.dl.audio.failed",
    ])
    func `Events that make a stage speak to Telegram are refused, listed, left out or replayed`(_ type: String)
        async throws
    {
        let lines = [line(0), line(1, type: type), line(2)]
        try write(lines, to: "run")
        let refused = try await replay("--speed", "max", folder("run"))
        #expect(refused.status == 1 && refused.output.isEmpty && refused.errors.contains("1 × \(type)"))
        let listed = try await replay("--dry-run", folder("run"))
        #expect(listed.status == 0)
        #expect(try listed.lines.map { try JSON(parsing: $0)["live"] } == [false, true, false])
        #expect(try await replay("--speed", "max", "--skip-live", folder("run")).lines == [lines[0], lines[2]])
        #expect(try await replay("--speed", "max", "--live", folder("run")).lines == lines)
        // The events that are not selected do not count.
        #expect(try await replay("--speed", "max", "--type", "events.test.#", folder("run")).lines.count == 2)
        let piped = try await replay("--speed", "max", "-", input: lines.joined(separator: "\n"))
        #expect(piped.status == 1 && piped.lines == [lines[0]])
    }

    @Test func `A request for a file in Telegram needs --live, and one for a link does not`() async throws {
        let file = line(0, type: "commands.media.video_download", payload: #","file":{"file_id":"x"}"#)
        let link = line(1, type: "commands.media.video_download", payload: #","url":"https://example.com""#)
        try write([link], to: "link")
        #expect(try await replay("--speed", "max", folder("link")).lines == [link])
        try write([link, file], to: "file")
        #expect(try await replay("--speed", "max", folder("file")).status == 1)
    }

    @Test func `Events are selected by request, type and time`() async throws {
        try write(
            (0..<6).map { line($0, type: $0 == 3 ? "events.other" : "events.test.tick", at: Double($0)) }, to: "run")
        func numbers(_ arguments: String...) async throws -> [JSON?] {
            let result = try await ToolRun.run(
                "ev-replay", ["--speed", "max"] + arguments + [folder("run")], folder: folder)
            #expect(result.status == 0)
            return try result.envelopes().map { $0.payload["number"] }
        }
        #expect(try await numbers("--correlation", id(1, 9).uppercased()) == [2, 3])
        #expect(try await numbers("--type", "events.other", "--type", "commands.#") == [3])
        #expect(try await numbers("--from", "2s", "--until", "4s") == [2, 3])
        #expect(try await numbers("--from", "2026-01-01T00:00:05Z") == [5])
        #expect(try await numbers("--until", "2026-01-01T01:00:01+01:00") == [0])
    }

    @Test func `Two replays with one seed are byte-identical, and keep the causes`() async throws {
        let first = line(0)
        let second = line(1).replacingOccurrences(
            of: #""timestamp""#, with: #""causation_id":"\#(id(0))","timestamp""#)
        try write([first, second], to: "run")
        let one = try await replay("--speed", "max", "--new-ids", "--seed", "7", folder("run"))
        let two = try await replay("--speed", "max", "--new-ids", "--seed", "7", folder("run"))
        #expect(one.status == 0 && one.output == two.output && one.output != first + "\n" + second + "\n")
        let events = try one.envelopes()
        #expect(events[1].causationID == events[0].id && events[1].correlationID == events[0].correlationID)
        #expect(events[0].id.description != id(0))
        let third = try await replay("--speed", "max", "--new-ids", folder("run"))
        #expect(third.output != one.output)
        let diff = try await replay("diff", folder("run"), "-", input: one.output)
        #expect(diff.status == 0 && diff.output.isEmpty)
    }

    @Test func `Rebased events have the present time and keep their distances`() async throws {
        try write([line(0), line(1, at: 30)], to: "run")
        let events = try await replay("--speed", "max", "--rebase-time", folder("run")).envelopes()
        let times = try events.map { try #require(Timestamp($0.timestamp)) }
        #expect(abs(times[0].elapsed(since: .now).seconds) < 60)
        #expect(times[1].elapsed(since: times[0]) == .seconds(30))
    }

    @Test func `Hostile recordings are replayed as far as they hold events`() async throws {
        let lines = [
            "{oops", line(0), "null", line(1).replacingOccurrences(of: "2026-01-01", with: "9999-12-31"), "\u{0}\u{1}",
            line(2).replacingOccurrences(of: "2026-01-01", with: "0001-01-01"), "",
            #"{"type":"a.b","correlation_id":"\#(id(3))"}"#, line(4),
        ]
        try write(lines, to: "run", ending: "")
        let result = try await replay("--max-gap", "100ms", folder("run"))
        #expect(result.status == 65)
        #expect(result.lines == [lines[1], lines[3], lines[5], lines[7], lines[8]])
        #expect(result.errors.contains(#""shortened_gaps":"#))
        let long = String(repeating: "x", count: 5000)
        try write([line(0), line(1, payload: #","text":"\#(long)""#)], to: "long")
        let cut = try await replay("--speed", "max", "--max-line", "1K", folder("long"))
        #expect(cut.status == 65 && cut.lines == [line(0)])
    }

    @Test func `Times of another recording are refused, and a torn recording is replayed`() async throws {
        let lines = (0..<20).map { line($0) }
        _ = try await replay("record", folder("run"), input: lines.joined(separator: "\n"))
        try write((20..<40).map { line($0) }, to: "other")
        try FileManager.default.copyItem(atPath: folder("run.times"), toPath: folder("other.times"))
        let misfit = try await replay("--speed", "max", folder("other"))
        #expect(misfit.status == 65 && misfit.errors.contains("does not belong to this recording"))
        #expect(try await replay("--speed", "max", "--ignore-times", folder("other")).lines.count == 20)
        try "nonsense\n".write(toFile: folder("other.times"), atomically: true, encoding: .utf8)
        #expect(try await replay("--speed", "max", folder("other")).status == 65)
        // A recorder was killed between its two files, and while it wrote a time.
        let times = try String(contentsOfFile: folder("run.times"), encoding: .utf8)
        try String(times.dropLast(130)).write(toFile: folder("run.times"), atomically: true, encoding: .utf8)
        let torn = try await replay("--speed", "max", folder("run"))
        #expect(torn.status == 0 && torn.lines == lines && torn.errors.contains("have no time"))
        _ = try await replay("record", folder("run"), input: line(40))
        #expect(try await replay("--speed", "max", folder("run")).lines == lines + [line(40)])
    }

    @Test func `A full disk ends the recording and not the pipeline`() async throws {
        let input = (0..<200).map { line($0) }.joined(separator: "\n")
        symlink("/dev/full", folder("run"))
        #expect(try await replay("record", folder("run"), input: input).status == 64)
        try input.write(toFile: folder("in"), atomically: true, encoding: .utf8)
        let script =
            "ulimit -f 8; { \(ToolRun.path(of: "ev-replay")) record \(folder("disk")) <\(folder("in")); echo $? >&2; } 2>\(folder("log")) | wc -l"
        let count = try SpawnedProgram.output(of: ["sh", "-c", script])
        #expect(count.split(whereSeparator: \.isWhitespace).first == "200")
        let log = try String(contentsOfFile: folder("log"), encoding: .utf8)
        #expect(log.contains("the events are still forwarded") && log.hasSuffix("74\n"))
    }

    @Test func `Planted secrets and data of people are in no redacted recording`() async throws {
        let message =
            #","message":{"message_id":7,"date":1795262400,"chat":{"id":4242424242,"type":"private","first_name":"Zoltanplanted"},"#
            + #""from":{"id":4242424242,"username":"zoltan_planted","phone_number":"+15550107777"},"#
            + #""text":".vdl https://planted.example/x?token=123456:AAplanted <b>planted</b>"}"#
        let input = line(0, type: "events.telegram.raw", payload: #","update_id":5\#(message)"#)
        let run = try await ToolRun.run(
            "ev-replay", ["record", "--redact", folder("run")], input: input,
            environment: ["TGPIPE_REDACT_KEY": "planted key"], folder: folder)
        #expect(run.status == 0 && run.output == input + "\n")
        let text = try ["run", "run.times"].map { try String(contentsOfFile: folder($0), encoding: .utf8) }.joined()
        for word in ["planted", "Zoltan", "4242424242", "15550107777", "123456"] {
            #expect(!(text + run.errors).contains(word), "\(word)")
        }
        #expect(text.contains(#""text":".vdl https://"#))
        _ = try await ToolRun.run(
            "ev-replay", ["record", "--redact", folder("again")], input: input,
            environment: ["TGPIPE_REDACT_KEY": "planted key"], folder: folder)
        #expect(
            try Data(contentsOf: URL(fileURLWithPath: folder("again")))
                == Data(contentsOf: URL(fileURLWithPath: folder("run"))))
        #expect(try await replay("--speed", "max", folder("run")).envelopes().count == 1)
    }

    @Test func `A difference between recordings is printed, with status 1`() async throws {
        try write([line(0), line(1)], to: "old")
        try write([line(0), line(1, payload: #","title":"<b>new</b>""#)], to: "new")
        let result = try await replay("diff", folder("old"), folder("new"))
        #expect(result.status == 1)
        #expect(result.output.contains(#"payload.title: nothing, now "<b>new</b>""#))
        #expect(result.output.hasSuffix("one difference in one request\n"))
        #expect(try await replay("diff", "--ignore", "title", folder("old"), folder("new")).status == 0)
        #expect(try await replay("diff", folder("none"), folder("new")).status == 74)
        try write([line(0), line(1), "{oops"], to: "torn")
        #expect(try await replay("diff", folder("old"), folder("torn")).status == 65)
    }

    @Test func `A signal ends a replay during a wait`() async throws {
        try write([line(0), line(1, at: 600)], to: "run")
        let run = try ToolRun("ev-replay", [folder("run")], folder: folder)
        _ = try await run.waitForLines { $0.count == 1 }
        run.signal(SIGTERM)
        let result = try await run.result(deadline: .seconds(20))
        #expect(result.status == 0 && result.lines.count == 1)
    }

    @Test(arguments: [
        ["--live", "--skip-live", "x"], ["--seed", "1", "x"], ["--speed", "0", "x"], ["--bogus", "x"], [],
        ["record", "-"], ["record", "x", "--from", "queue:q"], ["diff", "-", "x"],
    ])
    func `Arguments that make no sense are refused`(_ arguments: [String]) async throws {
        let result = try await ToolRun.run("ev-replay", arguments, folder: folder)
        #expect(result.status == 64 && !result.errors.isEmpty)
    }
}

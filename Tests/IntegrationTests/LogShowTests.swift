import Foundation
import TestSupport
import Testing

/// Finds lines of the log.
@Suite(.timeLimit(.minutes(3))) struct LogShowTests {
    private let fixture: LogFixture

    init() throws { fixture = try LogFixture() }

    private func line(_ second: Int, _ level: String, _ tool: String, _ message: String) -> String {
        #"{"time":"2026-01-31T12:00:0\#(second).000000Z","level":"\#(level)","tool":"\#(tool)","message":"\#(message)"}"#
    }

    private func store(_ lines: [String]) async throws {
        #expect(try await fixture.log("import", input: lines.joined(separator: "\n")).status == 0)
    }

    @Test func `Lines are found by level, tool, time and text, and only the last ones if that is wanted`() async throws
    {
        let lines = [
            line(1, "debug", "a", "begin"), line(2, "info", "b", "100% of Disk_1 is FULL"),
            line(3, "warning", "a", "1000"),
            line(4, "error", "c", "disk is full"), line(5, "critical", "b", "end"),
        ]
        // The order of the store is not that of the times.
        try await store(lines.reversed())
        let cases: [([String], [Int])] = [
            ([], [0, 1, 2, 3, 4]), (["--level", "warning"], [2, 3, 4]), (["--level", "critical"], [4]),
            (["--tool", "a"], [0, 2]), (["--tool", "a", "--tool", "c"], [0, 2, 3]), (["disk"], [1, 3]),
            (["is", "FULL", "disk"], [1, 3]), (["100%"], [1]), (["disk_"], [1]), (["d_sk"], []),
            (["--since", "2026-01-31T12:00:03Z"], [2, 3, 4]), (["--until", "2026-01-31T12:00:02Z"], [0, 1]),
            (["--since", "2026-01-31T12:00:02Z", "--until", "2026-01-31T13:00:04+01:00"], [1, 2, 3]),
            (["--since", "2026-02-01"], []), (["--until", "2026-01-31"], []),
            (["--level", "error", "--tool", "c", "full"], [3]), (["--tool", "x"], []),
        ]
        for (arguments, wanted) in cases {
            let result = try await ToolRun.run(
                "ev-log", ["show"] + arguments, environment: fixture.quiet, folder: fixture.folder)
            #expect(result.lines == wanted.map { lines[$0] }, "\(arguments)")
            #expect(result.status == (wanted.isEmpty ? 1 : 0), "\(arguments)")
        }
        // Of the last lines of the store, in the order of their times.
        #expect(try await fixture.log("show", "-n", "2").lines == [lines[0], lines[1]])
        for arguments in [["--level", "loud"], ["--since", "yesterday"], ["-n", "0"], ["--correlation", "xyz"]] {
            let result = try await ToolRun.run(
                "ev-log", ["show"] + arguments, environment: fixture.quiet, folder: fixture.folder)
            #expect(result.status == 64, "\(arguments)")
        }
    }

    @Test func `Further lines are shown as they come, also before there is a store, and only those that match`()
        async throws
    {
        let follow = try ToolRun(
            "ev-log", ["show", "-f", "--level", "warning"], environment: fixture.quiet, folder: fixture.folder)
        try await Task.sleep(for: .milliseconds(300))
        try await store([line(1, "info", "a", "no"), line(2, "error", "a", "one")])
        _ = try await follow.waitForLines { $0.count == 1 }
        try await store([line(3, "warning", "b", "two"), line(4, "debug", "b", "no")])
        let lines = try await follow.waitForLines { $0.count == 2 }
        #expect(lines == [line(2, "error", "a", "one"), line(3, "warning", "b", "two")])
        follow.signal(SIGTERM)
        #expect(try await follow.result(deadline: .seconds(20)).status == 0)
    }

    @Test func `On a terminal, lines are for reading, with colours unless NO_COLOR is set, and cannot steer it`()
        async throws
    {
        try await store([line(1, "error", "tg-send", #"bad \u001b[2J\u0007 news"#), line(2, "info", "tg-gate", "good")])
        func shown(_ variables: [String]) throws -> String {
            let command = "\(ToolRun.path(of: "ev-log")) show --store \(fixture.store)"
            return try SpawnedProgram.output(
                of: ["env", "-u", "NO_COLOR", "TGPIPE_STATE=\(fixture.folder("state"))", "TGPIPE_LOG_DIR="] + variables
                    + ["script", "-qec", command, "/dev/null"])
        }
        let colored = try shown([])
        #expect(colored.contains("\u{1B}[31merror: \u{1B}[0m") && colored.contains("\u{1B}[2m"))
        #expect(!colored.contains("\u{1B}[2J") && !colored.contains("\u{7}"))
        let plain = try shown(["NO_COLOR=1"])
        #expect(!plain.contains("\u{1B}"))
        let rows = plain.split(whereSeparator: \.isNewline)
        #expect(rows.count == 2 && rows[0].contains("tg-send") && rows[0].contains("error: bad"))
        #expect(rows[1].hasSuffix("tg-gate     good"))
    }
}

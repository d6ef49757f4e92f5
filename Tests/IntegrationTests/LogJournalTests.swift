import Foundation
import JSON
import System
import TestSupport
import Testing

/// Runs systemd's journald in a name space of its own, where it sees nothing of this machine's journal.
private final class Journald: Sendable {
    let folder: String
    private let space: [String]
    private let server: SpawnedProgram

    /// - Parameter folder: where the journal is; it may have one already.
    init(_ folder: String) throws {
        self.folder = folder
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let script = """
            set -e
            mount -t tmpfs tmpfs /run
            mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
            mount --bind "$0" /run/log/journal
            echo 0191e0a00000700080000000000000aa > /run/machine-id
            mount --bind /run/machine-id /etc/machine-id
            printf '[Journal]\\nStorage=volatile\\nRateLimitBurst=0\\nReadKMsg=no\\nAudit=no\\n' > /run/systemd/journald.conf.d/test.conf
            for place in /lib /usr/lib; do
                [ ! -x $place/systemd/systemd-journald ] || exec $place/systemd/systemd-journald
            done
            """
        let isRoot = getuid() == 0
        server = try SpawnedProgram(
            ["unshare"] + (isRoot ? [] : ["--user", "--map-root-user"])
                + ["--mount", "--propagation", "private", "sh", "-c", script, folder])
        space =
            ["nsenter", "-t", "\(server.processIdentifier)", "-m"] + (isRoot ? [] : ["-U", "--preserve-credentials"])
        let isThere = try eventuallyNow { try run(["test", "-S", "/run/systemd/journal/stdout"]) == 0 }
        guard isThere else { throw ToolRun.TookTooLong(description: "systemd-journald does not start") }
    }

    deinit { stop() }

    /// Runs a program within the name space.
    func run(_ arguments: [String]) throws -> Int32 { try SpawnedProgram(space + arguments).wait() }

    /// Sends what a shell command writes to its standard output and error to the journal.
    func log(as identifier: String, _ command: String) throws {
        #expect(try run(["systemd-cat", "-t", identifier, "bash", "-c", command]) == 0)
    }

    /// Ends journald in order, so that all of the journal is in its files.
    func stop() {
        server.signal(SIGTERM)
        _ = server.wait()
    }

    private func eventuallyNow(_ isSo: () throws -> Bool) rethrows -> Bool {
        for _ in 0..<500 {
            if try isSo() { return true }
            usleep(20_000)
        }
        return false
    }
}

/// Stores what is in systemd's journal.
@Suite(.timeLimit(.minutes(5))) struct LogJournalTests {
    private let fixture: LogFixture
    private var journal: String { fixture.folder("journal") }

    init() throws { fixture = try LogFixture() }

    private func line(_ number: Int, _ rest: String = "") -> String {
        #"{"time":"2026-01-31T12:00:00.000000Z","level":"info","tool":"tg-send","correlation_id":"0191e0a0-0000-7000-8000-0000000000aa","message":"m","n":\#(number)\#(rest)}"#
    }

    private func runOnce(_ arguments: String...) async throws -> ToolRun.Result {
        try await ToolRun.run(
            "ev-log", ["run", "--from", "journal", "--journal", journal, "--once"] + arguments,
            environment: fixture.quiet, folder: fixture.folder)
    }

    private func stored() async throws -> [JSON] { try await fixture.log("show").lines.map { try JSON(parsing: $0) } }

    @Test
    func `The lines of tools are stored as they were written, and those of other programs only if their unit is named`()
        async throws
    {
        let journald = try Journald(journal)
        let tool = ToolRun.path(of: "ratelimit")
        let state = fixture.folder("state")
        try journald.log(
            as: "tg-gate",
            "echo 'no JSON' | TGPIPE_LOG=json:info TGPIPE_STATE=\(state) \(tool) -n 1 > /dev/null; true")
        // What else a tool writes is told by the program's path.
        try journald.log(
            as: "plain",
            "(echo 'no JSON'; sleep 1) | TGPIPE_LOG=human:info TGPIPE_STATE=\(state) \(tool) -n 1 > /dev/null; true")
        // journalctl leaves out longer fields if it is not told otherwise.
        let long = line(7, #","text":"\#(String(repeating: "ä", count: 6000))""#)
        try long.write(toFile: fixture.folder("long"), atomically: true, encoding: .utf8)
        try journald.log(as: "sh", "cat \(fixture.folder("long")); echo; echo noise; printf 'bin\\xff\\n'")
        // The protocol of journald's socket for standard output: name, unit, priority, and three times no.
        let unit = """
            import socket
            s = socket.socket(socket.AF_UNIX); s.connect("/run/systemd/journal/stdout")
            s.sendall(b"nginx\\nnginx.service\\n4\\n0\\n0\\n0\\n0\\nGET /\\n"); s.close()
            """
        #expect(try journald.run(["python3", "-c", unit]) == 0)
        try journald.log(as: "sh", "echo last")
        journald.stop()
        let run = try await runOnce("--unit", "ngi*")
        #expect(run.status == 0, "\(run.errors)")
        let lines = try await stored()
        #expect(lines.contains { $0["tool"] == "ratelimit" && $0["level"] == "warning" })
        #expect(
            lines.contains { $0["tool"] == "plain" && $0["message"]?.string?.hasPrefix("ratelimit: warning: ") == true }
        )
        #expect(lines.contains { $0["n"] == 7 && $0["text"]?.string?.count == 6000 && $0["tool"] == "tg-send" })
        let nginx = try #require(lines.first { $0["tool"] == "nginx" })
        #expect(nginx["message"] == "GET /" && nginx["level"] == "warning" && nginx["unit"] == "nginx.service")
        #expect(!lines.contains { ["noise", "last"].contains($0["message"]?.string) })
        #expect(try await runOnce("--unit", "ngi*").status == 0)
        #expect(try await stored().count == lines.count)
    }

    @Test func `However often ev-log is killed, each entry of the journal is stored once`() async throws {
        let journald = try Journald(journal)
        let (each, writers) = (1500, 3)
        var generator = SystemRandomNumberGenerator()
        let fixture = fixture
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    let lines = (0..<each).map { line(writer * each + $0) + "\n" + "noise \($0)\n" }.joined()
                    try lines.write(toFile: fixture.folder("in-\(writer)"), atomically: true, encoding: .utf8)
                    let slowly = "while read -r line; do echo \"$line\"; done < \(fixture.folder("in-\(writer)"))"
                    try await BlockingThread.oncePassingErrors { try journald.log(as: "tg-send", slowly) }
                }
            }
            for _ in 0..<6 {
                let run = try ToolRun(
                    "ev-log", ["run", "--from", "journal", "--journal", journal], environment: fixture.quiet,
                    folder: fixture.folder)
                try await Task.sleep(for: .milliseconds(Int.random(in: 150...700, using: &generator)))
                run.signal(SIGKILL)
                _ = try await run.result()
            }
            try await group.waitForAll()
        }
        // One that follows the journal sees what comes later, and ends in order.
        let run = try ToolRun(
            "ev-log", ["run", "--from", "journal", "--journal", journal], environment: fixture.quiet,
            folder: fixture.folder)
        try journald.log(as: "tg-send", "echo '\(line(each * writers))'")
        let isThere = try await eventuallyAsync {
            try await stored().contains { $0["n"] == .integer(Int64(each * writers)) }
        }
        #expect(isThere)
        run.signal(SIGTERM)
        #expect(try await run.result(deadline: .seconds(20)).status == 0)
        journald.stop()
        #expect(try await runOnce().status == 0)
        let numbers = try await stored().compactMap { $0["n"]?.int }
        #expect(numbers.count == each * writers + 1 && Set(numbers).count == numbers.count)
    }

    @Test func `When journald has removed what was read last, everything after it is stored`() async throws {
        let first = try Journald(journal)
        try first.log(as: "tg-send", "echo '\(line(1))'; echo '\(line(2))'")
        first.stop()
        #expect(try await runOnce().status == 0)
        try FileManager.default.removeItem(atPath: journal)
        let second = try Journald(journal)
        try second.log(
            as: "tg-send", "for n in 3 4 5; do echo '\(line(0))' | sed \"s/\\\"n\\\":0/\\\"n\\\":$n/\"; done")
        second.stop()
        #expect(try await runOnce().status == 0)
        #expect(try await stored().compactMap { $0["n"]?.int }.sorted() == [1, 2, 3, 4, 5])
    }

    @Test func `A journal that cannot be read, and wrong options, are explained`() async throws {
        let absent = try await runOnce()
        #expect(absent.status == 69 && absent.errors.contains("journalctl failed"))
        for arguments in [
            ["--unit", "x"], ["--journal", "x"], ["--from", "journal", "--log-dir", "x"], ["--from", "syslog"],
        ] {
            let run = try await ToolRun.run(
                "ev-log", ["run", "--once"] + arguments, environment: fixture.quiet, folder: fixture.folder)
            #expect(run.status == 64, "\(arguments)")
        }
        let missing = try await ToolRun.run(
            "ev-log", ["run", "--from", "journal"], environment: fixture.quiet.merging(["PATH": "/nothing"]) { $1 },
            folder: fixture.folder)
        #expect(missing.status == 78 && missing.errors.contains("journalctl is missing"))
    }
}

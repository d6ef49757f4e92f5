import Foundation
import Process
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct RouteCommandTests {
    private let here: RouteFixture

    init() throws { here = try RouteFixture() }

    @Test func `A command receives the events and is waited for`() async throws {
        let result = try await here.route(
            ["-o", "a=exec:cat > \(here.folder("out")); sleep 0.3; echo done >> \(here.folder("out"))"],
            "\(RouteFixture.event("a", 1))\n\(RouteFixture.event("a", 2))")
        #expect(result.status == 0)
        #expect(here.lines("out") == [RouteFixture.event("a", 1), RouteFixture.event("a", 2), "done"])
    }

    @Test func `A command's output appears on standard output`() async throws {
        let result = try await here.route(["-o", "#=exec:wc -l"], "")
        #expect(result.status == 0)
        #expect(result.output.contains("0"))
    }

    @Test func `A command that ends is restarted and receives the unread events`() async throws {
        // `read` takes one line from a pipe and leaves the rest in it.
        let command = "read -r line; printf '%s\\n' \"$line\" >> \(here.folder("out"))"
        let input = (0..<5).map { RouteFixture.event("a", $0) + "\n" }.joined()
        let result = try await here.route(["-o", "#=exec:\(command)"], input)
        #expect(result.status == 0)
        #expect(here.numbers("out") == Array(0..<5))
        #expect(result.errors.contains("starting it again"))
    }

    @Test func `A command killed in the middle of a line receives that line again`() async throws {
        // The first takes one line and a part of the next; those after it take everything.
        let command = """
            if [ -e \(here.folder("was")) ]; then exec cat >> \(here.folder("out")); fi
            touch \(here.folder("was")); read -r line; printf '%s\\n' "$line" >> \(here.folder("out"))
            dd bs=1 count=20 of=/dev/null 2> /dev/null; kill -9 $$
            """
        let input = (0..<3000).map { RouteFixture.event("a", $0, padding: 100) + "\n" }.joined()
        let result = try await here.route(["-o", "#=exec:\(command)"], input)
        #expect(result.status == 0)
        #expect(here.text("out") == input)
        #expect(result.errors.contains("signal 9"))
    }

    @Test func `A missing command is a failure`() async throws {
        let result = try await here.route(
            ["-o", "#=exec:no-such-command-here", "-o", "#=\(here.folder("other"))"], RouteFixture.event("a", 1))
        #expect(result.status == 69)
        #expect(result.errors.contains("exec:no-such-command-here"))
        #expect(here.numbers("other") == [1])
    }

    @Test func `A command that fails at its end is reported`() async throws {
        let result = try await here.route(["-o", "#=exec:cat > /dev/null; exit 3"], RouteFixture.event("a", 1))
        #expect(result.status == 69)
        #expect(result.errors.contains("(exit status 3); it had accepted 1 events"))
    }

    @Test func `A command inherits no descriptor and no ignored signal`() async throws {
        let fifo = try here.fifo("a.fifo")
        let command =
            "ls /proc/self/fd > \(here.folder("fds")); grep SigIgn /proc/self/status > \(here.folder("signals")); cat > /dev/null"
        let reader = try here.reader(of: fifo, into: "out")
        let result = try await here.route(["-o", "#=\(fifo)", "-o", "#=exec:\(command)"], RouteFixture.event("a", 1))
        #expect(result.status == 0)
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        // 3 is the folder that `ls` lists.
        #expect(here.lines("fds") == ["0", "1", "2", "3"])
        // The C library keeps 32 and 33 for itself.
        let ignored = here.text("signals").split(whereSeparator: \.isWhitespace).last.flatMap { UInt64($0, radix: 16) }
        #expect(try #require(ignored) & ~0x1_8000_0000 == 0)
    }

    @Test func `A command that does not end is killed at the deadline`() async throws {
        let run = try ToolRun(
            "ev-route",
            [
                "--drain", "300ms", "-o",
                "#=exec:trap 'echo ended > \(here.folder("end")); exit' TERM; cat > \(here.folder("out")); while :; do sleep 0.05; done",
            ])
        run.send(RouteFixture.event("a", 1))
        #expect(try await eventually { here.numbers("out") == [1] })
        run.signal(SIGTERM)
        let result = try await run.result()
        #expect(result.status == 74)
        #expect(result.errors.contains("gave up on exec:"))
        #expect(try await eventually { here.text("end") == "ended\n" })
    }
}

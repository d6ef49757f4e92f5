import Process
import System
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct RouteOutputTests {
    private let here: RouteFixture

    init() throws { here = try RouteFixture() }

    @Test func `A killed FIFO reader that returns receives every event it had not read`() async throws {
        let fifo = try here.fifo("media.fifo")
        let run = try ToolRun("ev-route", ["-o", "#=\(fifo)"])
        let first = try here.reader(of: fifo, into: "out")
        for number in 0..<10 { run.send(RouteFixture.event("a", number)) }
        #expect(try await eventually { here.lines("out").count == 10 })
        first.signal(SIGKILL)
        #expect(first.wait(atMost: .seconds(30)) == .signalled(SIGKILL))
        // Nobody is there now.
        for number in 10..<20 { run.send(RouteFixture.event("a", number)) }
        let second = try here.reader(of: fifo, into: "out")
        #expect(try await eventually { here.lines("out").count == 20 })
        run.closeInput()
        #expect(try await run.result().status == 0)
        #expect(second.wait(atMost: .seconds(30)) == .exited(0))
        #expect(here.numbers("out") == Array(0..<20))
    }

    @Test func `A FIFO's reader may come late and no event is lost`() async throws {
        let fifo = try here.fifo("late.fifo")
        let run = try ToolRun("ev-route", ["-o", "#=\(fifo)"])
        run.send(RouteFixture.event("a", 1))
        run.closeInput()
        #expect(try await eventually { run.log.contains("no reader takes the contents of \(fifo)") })
        let reader = try here.reader(of: fifo, into: "out")
        #expect(try await run.result().status == 0)
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        #expect(here.numbers("out") == [1])
    }

    @Test func `A slow reader does not delay other outputs until its buffer is full`() async throws {
        let fifo = try here.fifo("slow.fifo")
        // More than the FIFO holds, less than that and the buffer behind it.
        let events = (0..<4000).map { RouteFixture.event("a", $0, padding: 900) + "\n" }
        let run = try ToolRun("ev-route", ["-o", "#=\(fifo)", "-o", "#=\(here.folder("fast"))"])
        BlockingThread.start {
            run.send(Array(events.joined().utf8))
            run.closeInput()
        }
        #expect(try await eventually { here.text("fast").utf8.count == events.joined().utf8.count })
        let reader = try here.reader(of: fifo, into: "slow")
        #expect(try await run.result().status == 0)
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        #expect(here.text("slow") == events.joined())
        #expect(here.text("fast") == events.joined())
    }

    @Test func `A reader that pauses makes the input wait and loses no event`() async throws {
        let fifo = try here.fifo("slow.fifo")
        let events = (0..<30_000).map { RouteFixture.event("a", $0, padding: 900) + "\n" }
        let sent = Sent()
        let run = try ToolRun("ev-route", ["-o", "#=\(fifo)", "-o", "#=/dev/null"])
        let reader = try here.reader(of: fifo, into: "slow")
        reader.signal(SIGSTOP)
        BlockingThread.start {
            run.send(Array(events.joined().utf8))
            run.closeInput()
            sent.set()
        }
        // Well over what the FIFO and all buffers hold: the sender cannot be done.
        #expect(try await eventually { run.log.contains("no reader takes the contents of") })
        #expect(!sent.isSet)
        reader.signal(SIGCONT)
        #expect(try await run.result().status == 0)
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        #expect(here.text("slow") == events.joined())
    }

    @Test func `After a signal, routed events are still delivered`() async throws {
        let fifo = try here.fifo("a.fifo")
        let run = try ToolRun("ev-route", ["-o", "#=\(fifo)", "-o", "#=-"])
        run.send(RouteFixture.event("a", 1))
        _ = try await run.waitForLines { $0.count == 1 }
        run.signal(SIGTERM)
        let reader = try here.reader(of: fifo, into: "out")
        #expect(try await run.result().status == 0)
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        #expect(here.numbers("out") == [1])
    }

    @Test(arguments: [1, 8000])
    func `After a signal, events not read by the deadline are dropped and counted`(_ count: Int) async throws {
        let fifo = try here.fifo("a.fifo")
        let events = (0..<count).map { RouteFixture.event("a", $0, padding: 900) + "\n" }.joined()
        let run = try ToolRun("ev-route", ["--drain", "300ms", "-o", "#=\(fifo)", "-o", "#=-"])
        BlockingThread.start { run.send(Array(events.utf8)) }
        _ = try await run.waitForLines { !$0.isEmpty }
        if count > 1 { #expect(try await eventually { run.log.contains("no reader takes") }) }
        run.signal(SIGTERM)
        let result = try await run.result()
        #expect(result.status == 74)
        let told = try #require(result.errors.firstMatch(of: /gave up on [^ ]*a\.fifo: (\d+) bytes were not delivered/))
        // Everything that was taken from the input and reached the other output, and what was taken behind that.
        #expect(try #require(Int(told.1)) >= result.output.utf8.count)
        if count == 1 { #expect(Int(told.1) == events.utf8.count) }
    }

    @Test func `Two writers of one FIFO do not mix their lines`() async throws {
        let fifo = try here.fifo("shared.fifo")
        let reader = try here.reader(of: fifo, into: "out")
        let runs = try (0..<2).map { _ in try ToolRun("ev-route", ["-o", "#=\(fifo)"]) }
        for (writer, run) in runs.enumerated() {
            BlockingThread.start {
                for number in 0..<200 {
                    run.send(RouteFixture.event("w\(writer)", number, padding: 5000 + 100 * number))
                }
                run.closeInput()
            }
        }
        for run in runs { #expect(try await run.result().status == 0) }
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        let lines = here.lines("out")
        #expect(lines.count == 400)
        for writer in 0..<2 {
            let mine = lines.filter { $0.contains(#""type":"w\#(writer)""#) }
            #expect(mine == (0..<200).map { RouteFixture.event("w\(writer)", $0, padding: 5000 + 100 * $0) })
        }
    }

    @Test func `A missing FIFO is not created as a file`() async throws {
        let result = try await here.route(["-o", "#=\(here.folder("x.fifo"))"], RouteFixture.event("a"))
        #expect(result.status == 74)
        #expect(result.errors.contains("mkfifo"))
        #expect(!FileManager.default.fileExists(atPath: here.folder("x.fifo")))
    }

    @Test func `A full disk is reported with the output and its accepted events`() async throws {
        let input = (0..<5).map { RouteFixture.event("a", $0) + "\n" }.joined()
        let result = try await here.route(["-o", "#=/dev/full", "-o", "#=\(here.folder("other"))"], input)
        #expect(result.status == 74)
        #expect(
            result.errors.contains("unable to write to /dev/full: No space left on device; it had accepted 0 events"))
        #expect(here.numbers("other") == Array(0..<5))
    }

    @Test func `A file at its size limit is reported with its number of events`() async throws {
        let line = RouteFixture.event("a", 0, padding: 1000)
        let input = String(repeating: line + "\n", count: 100)
        try input.write(toFile: here.folder("in"), atomically: false, encoding: .utf8)
        // In blocks of 512 bytes: 61,440 bytes and so a part of a line at the end.
        let words = try SpawnedProgram.output(of: [
            "/bin/sh", "-c", ##"ulimit -f 120; "$0" -o "#=$1" < "$2" 2> "$3"; echo $?"##, ToolRun.path(of: "ev-route"),
            here.folder("out"), here.folder("in"), here.folder("log"),
        ])
        #expect(words == "74\n")
        let whole = 61_440 / (line.utf8.count + 1)
        #expect(here.text("log").contains("File too large; it had accepted \(whole) events"))
        #expect(here.lines("out").filter { $0 == line }.count == whole)
    }

    @Test func `A broken pipe on standard output is an error`() async throws {
        let input = (0..<20_000).map { RouteFixture.event("a", $0) + "\n" }.joined()
        try input.write(toFile: here.folder("in"), atomically: false, encoding: .utf8)
        let words = try SpawnedProgram.output(of: [
            "/bin/bash", "-c", ##""$0" -o "#=-" < "$1" 2> "$2" | head -n 1 > /dev/null; echo ${PIPESTATUS[0]}"##,
            ToolRun.path(of: "ev-route"), here.folder("in"), here.folder("log"),
        ])
        #expect(words == "74\n")
        #expect(here.text("log").contains("standard output has no reader any more; it had accepted"))
    }
}

/// Holds a value that a thread sets and a test reads.
private final class Sent: Sendable {
    private let state = Monitor(false)

    var isSet: Bool { state.read { $0 } }
    func set() { state.update { $0 = true } }
}

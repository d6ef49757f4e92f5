import Process
import System
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct RouteSpoolTests {
    private let here: RouteFixture

    init() throws { here = try RouteFixture() }

    private func start(_ arguments: [String]) throws -> ToolRun {
        try ToolRun("ev-route", ["--spool", here.folder("spool")] + arguments, folder: here.folder)
    }

    /// The events that the spool of a target has, delivered ones included.
    private func spooledNumbers(_ target: String) -> [Int] {
        let folder = here.folder("spool/\(target.replacing("/", with: "%2F"))")
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter {
            $0.hasSuffix(".ndjson")
        }
        return names.sorted().flatMap { name in
            String(decoding: FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data(), as: UTF8.self)
                .split(separator: "\n").compactMap { RouteFixture.number(of: String($0)) }
        }
    }

    private func events(_ numbers: Range<Int>) -> String {
        numbers.map { RouteFixture.event("a", $0, padding: $0 % 100) + "\n" }.joined()
    }

    @Test func `With no reader and ev-route killed midway, each of 100,000 events arrives once in order`() async throws
    {
        let fifo = try here.fifo("late.fifo")
        let first = try start(["--overflow", "spool", "-o", "#=\(fifo)"])
        BlockingThread.start { first.send(Array(events(0..<50_000).utf8)) }
        #expect(try await eventually { spooledNumbers(fifo).last == 49_999 })
        first.signal(SIGKILL)
        #expect(try await first.result().status == 128 + SIGKILL)
        let second = try start(["--overflow", "spool", "-o", "#=\(fifo)"])
        BlockingThread.start {
            second.send(Array(events(50_000..<100_000).utf8))
            second.closeInput()
        }
        #expect(try await eventually { spooledNumbers(fifo).last == 99_999 })
        let reader = try here.reader(of: fifo, into: "out")
        let result = try await second.result()
        #expect(result.status == 0)
        #expect(result.errors.contains("bytes of an earlier run are in the spool"))
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        #expect(here.numbers("out") == Array(0..<100_000))
        // What is delivered takes no room.
        #expect(spooledNumbers(fifo).isEmpty)
    }

    @Test func `When ev-route is killed repeatedly while a reader reads, each event arrives once`() async throws {
        let fifo = try here.fifo("a.fifo")
        // Holds the FIFO open, as a reader does that is not to see its end.
        let reader = try ChildProcess(
            Command("/bin/sh", ["-c", #"exec cat <> "$0" >> "$1""#, fifo, here.folder("out")]))
        var count = 0
        for _ in 0..<15 {
            let run = try start(["--overflow", "spool", "-o", "#=\(fifo)"])
            let next = count + Int.random(in: 1...4000)
            run.send(Array(events(count..<next).utf8))
            // In the spool, or delivered already.
            #expect(
                try await eventually {
                    spooledNumbers(fifo).last == next - 1
                        || RouteFixture.number(of: here.lines("out").last ?? "") == next - 1
                })
            try await Task.sleep(for: .microseconds(Int.random(in: 0...5000)))
            run.signal(SIGKILL)
            _ = try await run.result()
            count = next
        }
        let last = try start(["--overflow", "spool", "-o", "#=\(fifo)"])
        last.closeInput()
        #expect(try await last.result().status == 0)
        let expected = events(0..<count)
        #expect(try await eventually { here.text("out").utf8.count >= expected.utf8.count })
        #expect(here.text("out") == expected)
        reader.signal(SIGKILL)
        _ = reader.wait(atMost: .seconds(10))
    }

    @Test func `A missing reader never delays other outputs`() async throws {
        let fifo = try here.fifo("slow.fifo")
        let input = (0..<20_000).map { RouteFixture.event("a", $0, padding: 900) + "\n" }.joined()
        let run = try start(["--overflow", "\(fifo)=spool", "-o", "#=\(fifo)", "-o", "#=\(here.folder("fast"))"])
        BlockingThread.start {
            run.send(Array(input.utf8))
            run.closeInput()
        }
        #expect(try await eventually { here.text("fast").utf8.count == input.utf8.count })
        #expect(try await eventually { run.log.contains("no reader takes the contents of \(fifo)") })
        let reader = try here.reader(of: fifo, into: "slow")
        #expect(try await run.result().status == 0)
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        #expect(here.text("slow") == input)
    }

    @Test func `A restarted reader receives the remaining events`() async throws {
        let fifo = try here.fifo("a.fifo")
        let run = try start(["--overflow", "spool", "-o", "#=\(fifo)"])
        for round in 0..<5 {
            let reader = try here.reader(of: fifo, into: "out")
            run.send(events(round * 1000..<(round + 1) * 1000).dropLast().description)
            #expect(try await eventually { here.lines("out").count == (round + 1) * 1000 })
            reader.signal(SIGKILL)
            _ = reader.wait(atMost: .seconds(10))
        }
        run.closeInput()
        #expect(try await run.result().status == 0)
        #expect(here.numbers("out") == Array(0..<5000))
    }

    @Test func `After a signal, unread events stay in the spool`() async throws {
        let fifo = try here.fifo("a.fifo")
        let run = try start(["--overflow", "spool", "-o", "#=\(fifo)"])
        run.send(RouteFixture.event("a", 1))
        #expect(try await eventually { spooledNumbers(fifo) == [1] })
        run.signal(SIGTERM)
        let result = try await run.result()
        #expect(result.status == 0)
        #expect(result.errors.contains("bytes stay in the spool"))
        let reader = try here.reader(of: fifo, into: "out")
        #expect(
            try await here.route(["--spool", here.folder("spool"), "--overflow", "spool", "-o", "#=\(fifo)"], "").status
                == 0)
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        #expect(here.numbers("out") == [1])
    }

    @Test func `After a kill, events left unread in the FIFO are sent again`() async throws {
        let fifo = try here.fifo("a.fifo")
        let run = try start(["--overflow", "spool", "-o", "#=\(fifo)"])
        let reader = try here.reader(of: fifo, into: "out")
        run.send(RouteFixture.event("a", 0))
        #expect(try await eventually { here.numbers("out") == [0] })
        reader.signal(SIGSTOP)
        run.send(events(1..<100).dropLast().description)
        #expect(try await eventually { spooledNumbers(fifo).last == 99 })
        try await Task.sleep(for: .milliseconds(200))
        reader.signal(SIGKILL)
        _ = reader.wait(atMost: .seconds(10))
        try await Task.sleep(for: .milliseconds(300))
        run.signal(SIGKILL)
        _ = try await run.result()
        let next = try here.reader(of: fifo, into: "out")
        #expect(
            try await here.route(["--spool", here.folder("spool"), "--overflow", "spool", "-o", "#=\(fifo)"], "").status
                == 0)
        #expect(next.wait(atMost: .seconds(30)) == .exited(0))
        #expect(here.numbers("out") == Array(0..<100))
    }

    @Test func `A spooled command that ends early receives the remaining events after its restart`() async throws {
        let command = """
            for i in $(seq 500); do read -r l || exit 0; printf '%s\\n' "$l"; done >> \(here.folder("out"))
            """
        let run = try start(["--overflow", "spool", "-o", "#=exec:\(command)"])
        BlockingThread.start {
            run.send(Array(events(0..<2000).utf8))
            run.closeInput()
        }
        #expect(try await run.result().status == 0)
        #expect(here.numbers("out") == Array(0..<2000))
    }

    @Test func `A damaged segment is reported and other events are delivered`() async throws {
        let fifo = try here.fifo("a.fifo")
        let run = try start(["--overflow", "spool", "-o", "#=\(fifo)"])
        run.send(events(0..<100).dropLast().description)
        #expect(try await eventually { spooledNumbers(fifo).last == 99 })
        run.signal(SIGKILL)
        _ = try await run.result()
        let segment = here.folder("spool/\(fifo.replacing("/", with: "%2F"))/0000000000000001.ndjson")
        var bytes = try Data(contentsOf: URL(fileURLWithPath: segment))
        let start = events(0..<50).utf8.count
        bytes[start + 3] = UInt8(ascii: "#")
        try bytes.write(to: URL(fileURLWithPath: segment))
        let reader = try here.reader(of: fifo, into: "out")
        let result = try await here.route(
            [
                "--spool", here.folder("spool"), "--overflow", "\(fifo)=spool", "-o", "#=\(fifo)", "--dead-letter",
                here.folder("dead"),
            ], "")
        #expect(result.status == 65)
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        #expect(here.numbers("out") == Array(0..<50) + Array(51..<100))
        let end = events(0..<51).utf8.count
        #expect(result.errors.contains("offsets \(start) to \(end) of "))
        #expect(
            here.text("dead").contains(#""code":"damaged""#) && here.text("dead").contains("offsets \(start) to \(end)")
        )
    }

    @Test func `Two processes cannot share a spool`() async throws {
        let fifo = try here.fifo("a.fifo")
        let run = try start(["--overflow", "spool", "-o", "#=\(fifo)"])
        run.send(RouteFixture.event("a", 1))
        #expect(try await eventually { spooledNumbers(fifo) == [1] })
        let second = try await here.route(
            ["--spool", here.folder("spool"), "--overflow", "spool", "-o", "#=\(fifo)"], "")
        #expect(second.status == 78)
        #expect(second.errors.contains("is in use by process"))
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
    }

    @Test func `Events dropped for a slow output are counted`() async throws {
        let fifo = try here.fifo("slow.fifo")
        let count = 20_000
        let input = (0..<count).map { RouteFixture.event("a", $0, padding: 900) + "\n" }.joined()
        let run = try start(["--overflow", "\(fifo)=drop", "-o", "#=\(fifo)", "-o", "#=\(here.folder("fast"))"])
        BlockingThread.start {
            run.send(Array(input.utf8))
            run.closeInput()
        }
        #expect(try await eventually { here.text("fast").utf8.count == input.utf8.count })
        let reader = try here.reader(of: fifo, into: "slow")
        let result = try await run.result()
        #expect(result.status == 0)
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        let numbers = here.numbers("slow")
        let told = result.errors.matches(of: /dropped (\d+) events for/).compactMap { Int($0.1) }
        #expect(numbers == numbers.sorted() && Set(numbers).count == numbers.count)
        #expect(numbers.count + (told.last ?? 0) == count)
        #expect((told.last ?? 0) > 0)
    }

    @Test func `An output that may drop events does not delay the end`() async throws {
        let fifo = try here.fifo("absent.fifo")
        let result = try await here.route(["--overflow", "drop", "-o", "#=\(fifo)"], RouteFixture.event("a", 1))
        #expect(result.status == 0)
        let bytes = RouteFixture.event("a", 1).utf8.count + 1
        #expect(result.errors.contains("its last \(bytes) bytes are dropped"))
    }

    @Test func `A spool and another writer of one FIFO do not mix their lines`() async throws {
        let fifo = try here.fifo("shared.fifo")
        let reader = try here.reader(of: fifo, into: "out")
        let runs = [try start(["--overflow", "spool", "-o", "#=\(fifo)"]), try start(["-o", "#=\(fifo)"])]
        // Every tenth is longer than the FIFO.
        @Sendable func event(_ writer: Int, _ number: Int) -> String {
            RouteFixture.event("w\(writer)", number, padding: number % 10 == 9 ? 1_200_000 : 5000 + 100 * number)
        }
        for (writer, run) in runs.enumerated() {
            BlockingThread.start {
                for number in 0..<100 { run.send(event(writer, number)) }
                run.closeInput()
            }
        }
        for run in runs { #expect(try await run.result().status == 0) }
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        let lines = here.lines("out")
        #expect(lines.count == 200)
        for writer in 0..<2 {
            let mine = lines.filter { $0.contains(#""type":"w\#(writer)""#) }
            let isWhole = mine == (0..<100).map { event(writer, $0) }
            #expect(isWhole)
        }
    }

    @Test func `A full spool makes the input wait and reports it`() async throws {
        let fifo = try here.fifo("slow.fifo")
        let input = (0..<20_000).map { RouteFixture.event("a", $0, padding: 900) + "\n" }.joined()
        let run = try start(["--overflow", "spool", "--spool-size", "1M", "-o", "#=\(fifo)"])
        BlockingThread.start {
            run.send(Array(input.utf8))
            run.closeInput()
        }
        #expect(try await eventually { run.log.contains("is full") && run.log.contains("the input waits") })
        let reader = try here.reader(of: fifo, into: "slow")
        #expect(try await run.result().status == 0)
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        #expect(here.text("slow") == input)
    }

    @Test func `Events wait for room on a full disk`() async throws {
        let fifo = try here.fifo("slow.fifo")
        let input = (0..<5000).map { RouteFixture.event("a", $0, padding: 900) + "\n" }.joined()
        try input.write(toFile: here.folder("in"), atomically: false, encoding: .utf8)
        // Files may have 1,024,000 bytes, which looks much the same as a full disk.
        let run = try SpawnedProgram([
            "/bin/sh", "-c",
            ##"ulimit -f 2000; exec "$0" --spool "$1" --overflow spool -o "#=$2" < "$3" 2> "$4""##,
            ToolRun.path(of: "ev-route"), here.folder("spool"), fifo, here.folder("in"), here.folder("log"),
        ])
        defer {
            run.signal(SIGKILL)
            run.wait()
        }
        #expect(try await eventually { here.text("log").contains("File too large; the input waits") })
        let reader = try here.reader(of: fifo, into: "slow")
        #expect(try await eventually { here.text("slow").utf8.count == input.utf8.count })
        #expect(reader.wait(atMost: .seconds(30)) == .exited(0))
        let isTheSame = here.text("slow") == input
        #expect(isTheSame)
    }

    static let faulty = [
        ["--overflow", "spill", "-o", "a=-"], ["--overflow", "x=spool", "-o", "a=-"],
        ["--spool-size", "1K", "-o", "a=-"],
        ["--spool", "", "-o", "a=-"], ["--spool-full", "wait", "-o", "a=-"],
    ]

    @Test(arguments: faulty) func `Mistakes in flags are reported`(_ arguments: [String]) async throws {
        let result = try await here.route(arguments, "")
        #expect(result.status == 64 || result.status == 78)
        #expect(result.errors.contains("overflow") || result.errors.contains("spool"))
    }
}

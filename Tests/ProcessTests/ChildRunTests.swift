import Glibc
import Process
import Synchronization
import System
import TestSupport
import Testing

@Suite("A child run to its end", .serialized)
struct ChildRunTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func shell(_ script: String, _ arguments: String..., timeout: Duration = .seconds(30)) -> ChildRun {
        ChildRun(
            Command(
                "sh", ["-c", script, "sh"] + arguments, environment: ["PATH": "/usr/bin:/bin"], directory: folder.path),
            timeout: timeout)
    }

    private func lines(_ run: ChildRun) async throws -> (exit: ChildRun.Exit, lines: [String]) {
        let lines = Mutex<[String]>([])
        let exit = try await run.run(onLine: { line in lines.withLock { $0.append(line) } })
        return (exit, lines.withLock { $0 })
    }

    @Test func `A run hands over its lines, errors and status`() async throws {
        let (exit, lines) = try await lines(shell("echo one; echo; printf two; echo bad >&2; exit 3"))
        #expect(lines == ["one", "two"])
        #expect(exit.cause == .ended(.exited(3)))
        #expect(exit.errorLines == ["bad"])
    }

    @Test func `The program gets its arguments as they are, and its working folder`() async throws {
        let (_, lines) = try await lines(shell("printf '%s\\n' \"$@\"; pwd", "a b", "-x", "$HOME", "ü"))
        #expect(lines == ["a b", "-x", "$HOME", "ü", folder.path])
    }

    @Test func `The program reads its input while it writes its output, however long both are`() async throws {
        var run = shell("cat")
        run.input = [UInt8](repeating: UInt8(ascii: "x"), count: 3_000_000)
        let count = Mutex(0)
        let exit = try await run.run(onOutput: { bytes in count.withLock { $0 += bytes.count } })
        #expect(exit.isSuccess)
        #expect(count.withLock { $0 } == 3_000_000)
    }

    @Test func `The program need not read all its input`() async throws {
        signal(SIGPIPE, SIG_IGN)
        var run = shell("head -c 5; exec 0<&-; sleep 0.1; exit 4")
        run.input = [UInt8](repeating: UInt8(ascii: "x"), count: 3_000_000)
        let (exit, lines) = try await lines(run)
        #expect(exit.cause == .ended(.exited(4)))
        #expect(lines == ["xxxxx"])
    }

    @Test func `A program that does not exist is an error`() async {
        let run = ChildRun(Command("no-such-program"), timeout: .seconds(30))
        let error = await #expect(throws: ChildProcess.Failure.self) { try await run.run(onLine: { _ in }) }
        #expect(error?.step == .findProgram)
    }

    @Test func `A program that runs too long is ended with the processes that it started`() async throws {
        let (exit, lines) = try await lines(shell("sleep 600 & echo $!; wait", timeout: .milliseconds(300)))
        #expect(exit.cause == .overdue)
        #expect(try await eventually { !Processes.isAlive(try #require(lines.first)) })
    }

    @Test func `A run leaves no process behind that it started`() async throws {
        let (exit, lines) = try await lines(shell("sleep 600 >/dev/null 2>&1 & echo $!"))
        #expect(exit.isSuccess)
        #expect(try await eventually { !Processes.isAlive(try #require(lines.first)) })
    }

    @Test func `A cancelled run ends, even if the program ignores the request`() async throws {
        let pid = Mutex("")
        var run = shell("trap '' TERM; echo $$; while :; do sleep 1; done")
        run.grace = .milliseconds(300)
        let cancelled = run
        let task = Task { try await cancelled.run(onLine: { line in pid.withLock { $0 = line } }) }
        _ = try await eventually { pid.withLock { !$0.isEmpty } }
        task.cancel()
        #expect(try await task.value.cause == .cancelled)
        #expect(!Processes.isAlive(pid.withLock { $0 }))
    }

    @Test func `A run reports the signal that killed the program`() async throws {
        #expect(try await shell("kill -9 $$").run().cause == .ended(.signalled(SIGKILL)))
    }

    @Test func `A program that prints too much is ended, and not more than the limit is handed over`() async throws {
        var run = shell("yes")
        run.maxOutputBytes = 1_000_000
        let count = Mutex(0)
        #expect(try await run.run(onOutput: { bytes in count.withLock { $0 += bytes.count } }).cause == .flooded)
        #expect(count.withLock { $0 } == 1_000_000)
        var short = shell("echo 12345")
        short.maxOutputBytes = 6
        #expect(try await short.run().isSuccess)
        short.maxOutputBytes = 5
        #expect(try await short.run().cause == .flooded)
    }

    @Test func `A program that prints too many errors is ended`() async throws {
        var run = shell("yes >&2")
        run.maxOutputBytes = 1_000_000
        let exit = try await run.run()
        #expect(exit.cause == .flooded)
        #expect(exit.errorLines.reduce(0) { $0 + $1.utf8.count + 1 } <= 16 << 10)
    }

    @Test func `A run cuts long lines`() async throws {
        let (exit, lines) = try await lines(shell("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo short"))
        #expect(exit.isSuccess)
        #expect(lines.map(\.utf8.count) == [256 << 10, 5])
    }

    @Test func `The program cannot write a longer file than allowed`() async throws {
        var run = shell("head -c 100000 /dev/zero > big")
        run.command.maxFileBytes = 10_000
        #expect(try await !run.run().isSuccess)
        var status = stat()
        #expect(stat(folder("big"), &status) == 0)
        #expect(status.st_size == 10_000)
    }

    @Test func `The program can write its output to a file`() async throws {
        var run = shell("echo hello")
        run.outputFile = folder("out")
        #expect(try await lines(run).lines.isEmpty)
        #expect(Processes.text(folder("out")) == "hello\n")
        run.outputFile = folder("no-folder/out")
        let unwritable = run
        let error = await #expect(throws: ChildProcess.Failure.self) { try await unwritable.run(onOutput: { _ in }) }
        #expect(error?.step == .openFile)
    }

    @Test func `A run leaves no descriptor and no zombie, however it ends`() async throws {
        let (descriptors, zombies) = (Processes.settledDescriptors, Processes.zombies)
        for script in ["true", "exit 3", "kill -9 $$", "sleep 600", "yes", "exec 0<&- 1>&- 2>&-; sleep 0.1"] {
            var run = shell(script, timeout: .milliseconds(300))
            run.input = Array("line\n".utf8)
            run.maxOutputBytes = 1000
            _ = try await run.run()
        }
        #expect(try await eventually { Processes.openDescriptors == descriptors })
        #expect(Processes.zombies == zombies)
    }
}

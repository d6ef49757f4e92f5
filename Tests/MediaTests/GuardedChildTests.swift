import System
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Media

@Suite struct GuardedChildTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func shell(_ script: String, _ arguments: String..., deadline: Duration = .seconds(30)) -> ChildCommand {
        ChildCommand(
            program: "sh", arguments: ["-c", script, "sh"] + arguments, environment: ["PATH": "/usr/bin:/bin"],
            directory: folder.path, deadline: deadline)
    }

    private func lines(_ command: ChildCommand) async throws -> (exit: ChildExit, lines: [String]) {
        let lines = Mutex<[String]>([])
        let exit = try await GuardedChild.run(command) { line in lines.withLock { $0.append(line) } }
        return (exit, lines.withLock { $0 })
    }

    private func isAlive(_ pid: String) -> Bool {
        guard let number = Int32(pid), kill(number, 0) == 0 else { return false }
        let status = SmallFile.readText("/proc/\(pid)/status") ?? ""
        return !status.contains("State:\tZ")
    }

    @Test func `A child's lines, errors and status are returned`() async throws {
        let (exit, lines) = try await lines(shell("echo one; echo; printf two; echo bad >&2; exit 3"))
        #expect(lines == ["one", "two"])
        #expect(exit.cause == .exited(3))
        #expect(exit.errorLines == ["bad"])
    }

    @Test func `A child receives its arguments unchanged and only the given environment`() async throws {
        setenv("TGPIPE_TEST_SECRET", "word", 1)
        let (_, lines) = try await lines(shell("printf '%s\\n' \"$@\"; env; pwd", "a b", "-x", "$HOME", "ü"))
        #expect(lines.prefix(4) == ["a b", "-x", "$HOME", "ü"])
        #expect(!lines.contains { $0.contains("SECRET") })
        #expect(lines.last == folder.path)
        #expect(ChildEnvironment.inherited()["TGPIPE_TEST_SECRET"] == nil)
    }

    @Test func `A child has only the three standard descriptors and default signal handling`() async throws {
        let extra = open("/dev/null", O_RDONLY)  // not close-on-exec
        defer { close(extra) }
        signal(SIGPIPE, SIG_IGN)
        let (_, lines) = try await lines(shell("ls /proc/self/fd; grep -E 'SigBlk|SigIgn' /proc/self/status"))
        // ls itself opens one to read the folder.
        #expect(lines.prefix { !$0.hasPrefix("Sig") } == ["0", "1", "2", "3"])
        // The two above 31 are the C library's own.
        let masks = lines.suffix(2).map { UInt64($0.suffix(16), radix: 16).map { $0 & 0x7fff_ffff } }
        #expect(masks == [0, 0])
    }

    @Test func `A program that is not installed is a clear error`() async {
        var command = shell("")
        command.program = "no-such-program"
        let error = await #expect(throws: MediaError.self) { try await GuardedChild.run(command) }
        #expect(error?.code == .missingProgram)
        #expect(error?.reason == "no-such-program is not installed here.")
    }

    @Test func `A child that exceeds its deadline is killed with its descendants`() async throws {
        let (exit, lines) = try await lines(shell("sleep 600 & echo $!; wait", deadline: .milliseconds(300)))
        #expect(exit.cause == .overdue)
        #expect(try await eventually { !isAlive(try #require(lines.first)) })
    }

    @Test func `A child that ends leaves no descendant running`() async throws {
        let (exit, lines) = try await lines(shell("sleep 600 >/dev/null 2>&1 & echo $!"))
        #expect(exit.isSuccess)
        #expect(try await eventually { !isAlive(try #require(lines.first)) })
    }

    @Test func `A cancelled child ends even if it ignores signals`() async throws {
        let pid = Mutex("")
        let command = shell("trap '' TERM; echo $$; while :; do sleep 1; done")
        let task = Task { try await GuardedChild.run(command) { line in pid.withLock { $0 = line } } }
        _ = try await eventually { pid.withLock { !$0.isEmpty } }
        task.cancel()
        let error = await #expect(throws: MediaError.self) { try await task.value }
        #expect(error?.code == .cancelled)
        #expect(!isAlive(pid.withLock { $0 }))
    }

    @Test func `A killed child is reported with its signal`() async throws {
        #expect(try await GuardedChild.run(shell("kill -9 $$")).cause == .killed(signal: SIGKILL))
    }

    @Test func `A child with endless output is killed`() async throws {
        var command = shell("yes")
        command.maxOutputBytes = 1_000_000
        #expect(try await GuardedChild.run(command).cause == .flooded)
    }

    @Test func `A child cannot write a file over the limit`() async throws {
        var command = shell("head -c 100000 /dev/zero > big")
        command.maxFileBytes = 10_000
        let exit = try await GuardedChild.run(command)
        #expect(!exit.isSuccess)
        #expect(SmallFile.readBytes(folder("big"), maxBytes: 1 << 20)?.count == 10_000)
    }

    @Test func `A child and its descendants do not outlive the parent`() async throws {
        let pids = folder("pids")
        // A thread that ends is to the kernel what a parent that dies is.
        let command = shell("sleep 600 & echo $$ $! > pids; wait")
        BlockingThread.start {
            _ = try? command.start(output: STDOUT_FILENO, error: STDERR_FILENO)
            while SmallFile.readText(pids)?.hasSuffix("\n") != true { usleep(1000) }
        }
        _ = try await eventually { SmallFile.readText(pids)?.hasSuffix("\n") == true }
        let text = try #require(SmallFile.readText(pids))
        for pid in text.split(whereSeparator: \.isWhitespace) {
            #expect(try await eventually { !isAlive(String(pid)) })
        }
    }

    @Test func `A child can write its output to a file`() async throws {
        var command = shell("echo hello")
        command.outputFile = folder("out")
        #expect(try await lines(command).lines.isEmpty)
        #expect(SmallFile.readText(folder("out")) == "hello\n")
    }
}

extension SmallFile {
    /// Also of files in /proc, which say that they are empty.
    static func readText(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&buffer, 1, buffer.count, file)
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}

import Glibc
@testable import Process
import System
import TestSupport
import Testing

@Suite("A child process", .serialized)
struct ChildProcessTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let lifetimes = [ChildProcess.Lifetime.endsWithParent, .outlivesParent]

    @Test(arguments: lifetimes) func `A child reads its input from a pipe and writes its output to one`(
        _ lifetime: ChildProcess.Lifetime
    ) throws {
        let child = try ChildProcess(
            .shell("cat; echo bad >&2; exit 7"), input: .pipe(), output: .pipe(), errors: .pipe(), lifetime: lifetime)
        let input = child.takeInput()
        #expect(write(input, "hello", 5) == 5)
        close(input)
        #expect(Processes.readAll(child.takeOutput()) == "hello")
        #expect(Processes.readAll(child.takeErrors()) == "bad\n")
        #expect(child.wait(atMost: .seconds(30)) == .exited(7))
        #expect(child.takeInput() == -1)
    }

    @Test(arguments: lifetimes) func `A child gets exactly the environment and the working folder it is given`(
        _ lifetime: ChildProcess.Lifetime
    ) throws {
        setenv("TGPIPE_TEST_SECRET", "word", 1)
        var command = Command("/usr/bin/env", environment: ["A": "1", "B": "two words"])
        let bare = try ChildProcess(command, output: .pipe(), lifetime: lifetime)
        #expect(Processes.readAll(bare.takeOutput()).split(separator: "\n").sorted() == ["A=1", "B=two words"])
        command.environment = nil
        let full = try ChildProcess(command, output: .pipe(), lifetime: lifetime)
        #expect(Processes.readAll(full.takeOutput()).contains("TGPIPE_TEST_SECRET=word\n"))
        let there = try ChildProcess(Command("pwd", directory: folder.path), output: .pipe(), lifetime: lifetime)
        #expect(Processes.readAll(there.takeOutput()) == "\(folder.path)\n")
        for child in [bare, full, there] { #expect(child.wait(atMost: .seconds(30)) == .exited(0)) }
    }

    @Test func `Additions replace variables, and all others stay as they are, byte for byte`() throws {
        setenv("TGPIPE_TEST_WORD", "old", 1)
        setenv("TGPIPE_TEST_BYTES", [CChar(bitPattern: 0xFF), 0x41, 0], 1)
        var command = Command.shell(
            "env | grep -ac TGPIPE_TEST_WORD; echo $TGPIPE_TEST_WORD; printenv TGPIPE_TEST_BYTES | od -An -tx1")
        command.additions = ["TGPIPE_TEST_WORD": "new"]
        let child = try ChildProcess(command, output: .pipe())
        #expect(Processes.readAll(child.takeOutput()) == "1\nnew\n ff 41 0a\n")
        command = Command("/usr/bin/env", environment: ["A": "1", "B": "2"])
        command.additions = ["B": "3"]
        let bare = try ChildProcess(command, output: .pipe())
        #expect(Processes.readAll(bare.takeOutput()).split(separator: "\n").sorted() == ["A=1", "B=3"])
        for child in [child, bare] { #expect(child.wait(atMost: .seconds(30)) == .exited(0)) }
    }

    @Test(arguments: lifetimes) func `A child has no descriptor but the standard three, and default signals`(
        _ lifetime: ChildProcess.Lifetime
    ) throws {
        let extra = open("/dev/null", O_RDONLY)  // not close-on-exec
        defer { close(extra) }
        signal(SIGPIPE, SIG_IGN)
        let child = try ChildProcess(
            .shell("ls /proc/self/fd; grep -E 'SigBlk|SigIgn' /proc/self/status"), input: .null, output: .pipe(),
            lifetime: lifetime)
        let lines = Processes.readAll(child.takeOutput()).split(separator: "\n")
        // ls itself opens one to read the folder.
        #expect(lines.prefix { !$0.hasPrefix("Sig") } == ["0", "1", "2", "3"])
        // The two above 31 are the C library's own.
        let masks = lines.suffix(2).map { UInt64($0.suffix(16), radix: 16).map { $0 & 0x7fff_ffff } }
        #expect(masks == [0, 0])
        #expect(child.wait(atMost: .seconds(30)) == .exited(0))
    }

    @Test(arguments: lifetimes)
    func `A child that does not exist, or cannot start, leaves no descriptor and no process`(
        _ lifetime: ChildProcess.Lifetime
    ) throws {
        let (descriptors, zombies) = (Processes.settledDescriptors, Processes.zombies)
        #expect(throws: ChildProcess.Failure(step: .findProgram, code: ENOENT)) {
            try ChildProcess(Command("no-such-program"), input: .pipe(), output: .pipe(), lifetime: lifetime)
        }
        #expect(throws: ChildProcess.Failure(step: .findProgram, code: ENOENT)) {
            try ChildProcess(Command(folder.path), lifetime: lifetime)
        }
        #expect(throws: ChildProcess.Failure(step: .start, code: ENOENT)) {
            try ChildProcess(
                Command("true", directory: folder("missing")), input: .pipe(), output: .pipe(), errors: .pipe(),
                lifetime: lifetime)
        }
        let text = folder("text")
        let file = open(text, O_WRONLY | O_CREAT, 0o755)
        write(file, "no program\n", 11)
        close(file)
        #expect(throws: ChildProcess.Failure(step: .start, code: ENOEXEC)) {
            try ChildProcess(Command(text), input: .pipe(), lifetime: lifetime)
        }
        #expect(Processes.settles(atDescriptors: descriptors))
        #expect(Processes.zombies == zombies)
    }

    @Test(arguments: lifetimes) func `A child that cannot be watched is killed and reaped, and its pipes are closed`(
        _ lifetime: ChildProcess.Lifetime
    ) throws {
        let (descriptors, zombies) = (Processes.settledDescriptors, Processes.zombies)
        var started: pid_t = 0
        #expect(throws: ChildProcess.Failure(step: .watch, code: EMFILE)) {
            try ChildProcess(.shell("sleep 600 & wait"), [.pipe(), .pipe(), .pipe()], lifetime) { pid in
                started = pid
                return -EMFILE
            }
        }
        #expect(started > 0)
        #expect(kill(-started, 0) != 0 && errno == ESRCH || !Processes.isAlive("\(started)"))
        #expect(Processes.settles(atDescriptors: descriptors))
        #expect(Processes.zombies == zombies)
    }

    /// The limit holds for this process, so nothing else runs beside this test: the suite is serialized and quick.
    @Test func `A child for which the descriptors run out halfway leaves none open`() throws {
        let descriptors = Processes.settledDescriptors
        var before = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
        // The lowest free numbers are used first: fill the gaps, then allow a few more.
        for room in 1...6 {
            let highest = dup(STDIN_FILENO)
            var fillers: [Int32] = []
            while let filler = .some(dup(STDIN_FILENO)), filler < 256 { fillers.append(filler) }
            var low = before
            low.rlim_cur = rlim_t(256 + 1 + room)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &low)
            let failure: ChildProcess.Failure?
            do throws(ChildProcess.Failure) {
                _ = try ChildProcess(Command("true"), input: .pipe(), output: .pipe(), errors: .pipe())
                failure = nil
            } catch {
                failure = error
            }
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
            for filler in fillers + [highest, 256] { close(filler) }
            #expect(failure == ChildProcess.Failure(step: room < 6 ? .openPipe : .start, code: EMFILE), "\(room)")
            #expect(Processes.settles(atDescriptors: descriptors), "\(room)")
        }
    }

    @Test func `A child closes its pipes and its watch when it is released`() throws {
        let descriptors = Processes.settledDescriptors
        var child: ChildProcess? = try ChildProcess(
            Command("true"), input: .pipe(), output: .pipe(), errors: .pipe(), lifetime: .outlivesParent)
        #expect(Processes.settles(atDescriptors: descriptors + 4))
        #expect(child?.wait(atMost: .seconds(30)) == .exited(0))
        child = nil
        #expect(Processes.settles(atDescriptors: descriptors))
    }

    @Test(arguments: lifetimes) func `A child is ended with the processes that it started`(
        _ lifetime: ChildProcess.Lifetime
    ) async throws {
        let pids = folder("pids")
        let child = try ChildProcess(
            Command("sh", ["-c", "sleep 600 & echo $$ $! > '\(pids)'; wait"]), input: .null, lifetime: lifetime)
        _ = try await eventually { Processes.text(pids)?.hasSuffix("\n") == true }
        #expect(child.wait(atMost: .milliseconds(20)) == nil)
        #expect(child.terminate(grace: .seconds(30)) == .signalled(SIGTERM))
        for pid in try #require(Processes.text(pids)).split(whereSeparator: \.isWhitespace) {
            #expect(try await eventually { !Processes.isAlive(pid) })
        }
    }

    @Test func `A child that ignores the request to end is killed`() async throws {
        let child = try ChildProcess(.shell("trap '' TERM; echo ready; while :; do sleep 1; done"), output: .pipe())
        let output = child.takeOutput()
        defer { close(output) }
        var entry = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        #expect(poll(&entry, 1, 30_000) == 1)
        #expect(child.terminate(grace: .milliseconds(200)) == .signalled(SIGKILL))
    }

    @Test func `A child is the leader of a group, and with a guard of a session too`() throws {
        let alone = try ChildProcess(Command("sleep", ["600"]))
        #expect(getpgid(alone.processIdentifier) == alone.processIdentifier)
        #expect(getsid(alone.processIdentifier) == getsid(0))
        let guarded = try ChildProcess(Command("sleep", ["600"]), lifetime: .endsWithParent)
        #expect(getsid(guarded.processIdentifier) == guarded.processIdentifier)
        for child in [alone, guarded] { #expect(child.terminate(grace: .seconds(30)) == .signalled(SIGTERM)) }
    }

    @Test func `A child outlives the thread that started it, or does not, as asked`() async throws {
        for lifetime in Self.lifetimes {
            let pids = folder("pids-\(lifetime)")
            let command = Command("sh", ["-c", "sleep 600 & echo $$ $! > '\(pids)'; wait"])
            // To the kernel, a thread that ends is like a parent that dies.
            BlockingThread.start {
                _ = try? ChildProcess(command, lifetime: lifetime)
                while Processes.text(pids)?.hasSuffix("\n") != true { usleep(1000) }
            }
            _ = try await eventually { Processes.text(pids)?.hasSuffix("\n") == true }
            let group = try #require(Processes.text(pids)).split(whereSeparator: \.isWhitespace)
            #expect(group.count == 2)
            switch lifetime {
            case .endsWithParent:
                for pid in group { #expect(try await eventually { !Processes.isAlive(pid) }) }
            case .outlivesParent:
                try await Task.sleep(for: .milliseconds(200))
                for pid in group {
                    #expect(Processes.isAlive(pid))
                    if let number = pid_t(pid) { kill(number, SIGKILL) }
                }
            }
        }
    }

    @Test func `A child is found in PATH, or by its path, only when it can be executed`() throws {
        #expect(Command("sh").executable?.hasSuffix("/sh") == true)
        #expect(Command("/bin/sh").executable == "/bin/sh")
        #expect(Command("no-such-program").executable == nil)
        #expect(Command("/etc/passwd").executable == nil)
        #expect(Command("/bin").executable == nil)
    }
}

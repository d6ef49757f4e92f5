import JSON
import Process
import System
import Glibc
import Logging
import Synchronization

extension RetryPolicy {
    /// The policy for the commands of outputs and middlewares: 10 attempts in a row without any progress.
    static let commands = RetryPolicy(
        attempts: 10, backoff: Backoff(first: .milliseconds(100), longest: .seconds(10)))
}

/// Runs the command of an `exec:COMMAND` output, and starts it again when it ends too early.
///
/// Only `unreadBytes` and `giveUp` may be called from threads other than the output's own.
final class CommandProcess: @unchecked Sendable {
    private struct Live {
        var process: ChildProcess?
        var pipe: Int32 = -1
    }

    let name: String
    private let command: String
    private let retry: RetryPolicy
    private let log: Logger
    private let live = Mutex(Live())
    /// The number of times in a row that the process has ended without taking an event.
    private var fruitless = 0
    private var backoff: Backoff

    init(command: String, retry: RetryPolicy, log: Logger) {
        (self.command, self.retry, self.log) = (command, retry, log)
        name = "exec:\(command.printable)"
        backoff = retry.backoff
    }

    /// The writing end of the command's input.
    var pipe: Int32 { live.withLock { $0.pipe } }

    /// The bytes that the command has not read yet.
    var unreadBytes: Int { live.withLock { $0.pipe < 0 ? 0 : PipeCalls.unreadBytes($0.pipe) } }

    /// Asks the command to end without reading the rest of its input.
    func giveUp() { live.withLock { $0.process }?.signal(SIGTERM) }

    /// Starts the process, with a new pipe.
    ///
    /// - Returns: the number of bytes that the pipe can hold.
    /// - Throws: `ToolError` (74 without a pipe, 69 when the shell cannot be started).
    @discardableResult
    func start() throws(ToolError) -> Int {
        do throws(ChildProcess.Failure) {
            let process = try ChildProcess(.shell(command), input: .pipe())
            let pipe = process.takeInput()
            live.withLock { $0 = Live(process: process, pipe: pipe) }
            return max(1 << 16, PipeCalls.resize(pipe, bytes: 1 << 16))
        } catch {
            throw ToolError(startOf: name, error)
        }
    }

    /// Blocks until the pipe takes bytes, or the process has ended.
    func waitUntilWritable() {
        var set = pollfd(fd: pipe, events: Int16(POLLOUT), revents: 0)
        if poll(&set, 1, 5000) == 0 {
            log.warning("\(name) reads no input; waiting for it")
            poll(&set, 1, -1)
        }
    }

    /// Starts the command again after its process has ended, or no longer reads its input.
    ///
    /// - Parameter hasTakenLine: whether the process has taken an event.
    /// - Returns: the number of bytes that the pipe can hold.
    /// - Throws: `ToolError` (69) when the attempts are used up.
    @discardableResult
    func restart(hasTakenLine: Bool) throws(ToolError) -> Int {
        live.withLock { live in
            close(live.pipe)
            live.pipe = -1
        }
        let ending = end()
        if hasTakenLine {
            fruitless = 0
            backoff.reset()
        } else {
            fruitless += 1
        }
        let isMissing = !hasTakenLine && (ending == .exited(126) || ending == .exited(127))
        guard retry.allowsAttempt(after: fruitless), !isMissing else {
            throw ToolError(.unavailable, "\(name) ended without taking an event (\(ending))")
        }
        let pause = backoff.next()
        log.warning("\(name) ended before the end of its input (\(ending)); starting it again in \(pause.spanText)")
        usleep(UInt32(clamping: pause.milliseconds * 1000))
        return try start()
    }

    /// Ends the command's input and waits for the command, without a limit, as a shell does.
    ///
    /// - Returns: how it ended. `unreadBytes` then counts the bytes that it left in the pipe.
    func finish() -> ChildProcess.Ending {
        // A reading end of our own shows, once the process has ended, whether it left bytes in the pipe.
        let pipe = live.withLock { $0.pipe }
        let reading = open("/proc/self/fd/\(pipe)", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        live.withLock { $0.pipe = reading }
        close(pipe)
        guard let process = live.withLock({ $0.process }) else { return .exited(0) }
        if let ending = process.wait(atMost: .seconds(5)) { return ending }
        log.warning("\(name) has all its input and still runs; waiting for it")
        while true {
            if let ending = process.wait(atMost: .seconds(3600)) { return ending }
        }
    }

    /// Ends a process that reads no more input: waits 30 seconds, then sends SIGTERM, then kills it.
    private func end() -> ChildProcess.Ending {
        guard let process = live.withLock({ $0.process }) else { return .exited(0) }
        if let ending = process.wait(atMost: .seconds(30)) { return ending }
        log.warning("\(name) takes no more events and does not end; ending it")
        return process.terminate(grace: .seconds(5)) ?? .signalled(SIGKILL)
    }
}

extension ToolError {
    /// Explains why the process of an `exec:` output or filter could not be started.
    init(startOf name: String, _ failure: ChildProcess.Failure) {
        switch failure.step {
        case .openPipe, .openFile: self.init(.localIO, "unable to make a pipe for \(name)")
        case .findProgram, .start, .confine, .watch: self.init(.unavailable, "unable to start \(name): \(failure)")
        }
    }
}

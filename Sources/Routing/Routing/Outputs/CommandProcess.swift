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

/// The process of `exec:COMMAND`, which is started again when it ends too early.
///
/// Only `unreadBytes` and `giveUp` may be called from other threads than the output's own.
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
    private var fruitless = 0
    private var backoff: Backoff

    init(command: String, retry: RetryPolicy, log: Logger) {
        (self.command, self.retry, self.log) = (command, retry, log)
        name = "exec:\(command.printable)"
        backoff = retry.backoff
    }

    /// The end to write to.
    var pipe: Int32 { live.withLock { $0.pipe } }

    var unreadBytes: Int { live.withLock { $0.pipe < 0 ? 0 : PipeCalls.unreadBytes($0.pipe) } }

    func giveUp() { live.withLock { $0.process }?.signal(SIGTERM) }

    /// Starts the process, with a new pipe.
    ///
    /// - Returns: how many bytes the pipe can hold.
    @discardableResult
    func start() throws(ToolError) -> Int {
        guard let ends = PipeCalls.open() else { throw ToolError(.localIO, "unable to make a pipe for \(name)") }
        // Only this end: a process may not expect its input to be so.
        _ = fcntl(ends.writing, F_SETFL, O_NONBLOCK)
        defer { close(ends.reading) }
        do throws(ChildProcess.Failure) {
            let process = try ChildProcess(["/bin/sh", "-c", command], input: ends.reading)
            live.withLock { $0 = Live(process: process, pipe: ends.writing) }
        } catch {
            close(ends.writing)
            throw ToolError(.unavailable, "unable to start \(name): \(error)")
        }
        return max(1 << 16, PipeCalls.resize(ends.writing, bytes: 1 << 16))
    }

    /// Waits until something can be written, or the process has ended.
    func waitUntilWritable() {
        var set = pollfd(fd: pipe, events: Int16(POLLOUT), revents: 0)
        if poll(&set, 1, 5000) == 0 {
            log.warning("\(name) takes nothing; waiting for it")
            poll(&set, 1, -1)
        }
    }

    /// Starts the command again after its process has ended, or no longer takes its input.
    ///
    /// - Parameter hasTakenLine: whether it was good for something.
    /// - Returns: how many bytes the pipe can hold.
    /// - Throws: `ToolError` (69) when it has been started often enough.
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
        log.warning("\(name) ended with events still to come (\(ending)); starting it again in \(pause.spanText)")
        usleep(UInt32(clamping: pause.milliseconds * 1000))
        return try start()
    }

    /// Ends its input and waits for it: as long as its work takes, as a shell would.
    ///
    /// - Returns: how it ended; `unreadBytes` are then those that it has left in the pipe.
    func finish() -> ChildProcess.Ending {
        // With an end for reading of our own we see, once the process has ended, whether it left something in the pipe.
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

    /// The end of a process that takes no more input: it gets some time to end by itself.
    private func end() -> ChildProcess.Ending {
        guard let process = live.withLock({ $0.process }) else { return .exited(0) }
        if let ending = process.wait(atMost: .seconds(30)) { return ending }
        log.warning("\(name) takes no more events and does not end; ending it")
        process.signal(SIGTERM)
        if let ending = process.wait(atMost: .seconds(5)) { return ending }
        process.signal(SIGKILL)
        return process.wait(atMost: .seconds(5)) ?? .signalled(SIGKILL)
    }
}

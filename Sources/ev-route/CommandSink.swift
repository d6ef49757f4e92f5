import Blocking
import CLinux
import Envelope
import Glibc
import Logging
import Stage
import Synchronization

/// A command's standard input (`exec:COMMAND`).
///
/// A command that ends with events still to come is started again, and gets those that it left in its pipe once more, from
/// the beginning of a line: what it had read is lost with it, nothing else. Only the counts, `unreadBytes` and `giveUp` may be
/// called from other threads than the output's own.
final class CommandSink: Sink, @unchecked Sendable {
    /// So many starts in a row without taking a line are a failure, about half a minute with the pauses between them.
    static let fruitlessStarts = 10

    private struct Live {
        var process: ChildProcess?
        var pipe: Int32 = -1
    }

    private let command: String
    private let log: Logger
    private let live = Mutex(Live())
    private let bytes = Atomic(0)
    private let events = Atomic(0)
    private var sent = SentLines(pipeBytes: 0)
    /// What must be written before anything else: left over by a process that ended.
    private var leftOver: ArraySlice<UInt8> = []
    private var fruitless = 0
    private var backoff = Backoff(first: .milliseconds(100), longest: .seconds(10))

    /// Starts the command.
    init(command: String, log: Logger) throws(StageError) {
        self.command = command
        self.log = log
        try start()
    }

    private var name: String { "exec:\(command.printable)" }

    var acceptedBytes: Int { bytes.load(ordering: .relaxed) }
    var acceptedEvents: Int { events.load(ordering: .relaxed) }
    var unreadBytes: Int { live.withLock { $0.pipe < 0 ? 0 : max(0, Int(tgp_pipe_bytes($0.pipe))) } }

    func giveUp() { live.withLock { $0.process }?.signal(SIGTERM) }

    func write(_ parcel: Parcel) throws(StageError) {
        for piece in parcel.places.pieces {
            try write(UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len))
        }
    }

    private func write(_ lines: UnsafeRawBufferPointer) throws(StageError) {
        var written = 0
        while written < lines.count {
            if writeLeftOver() { written += push(UnsafeRawBufferPointer(rebasing: lines[written...])) }
            if written < lines.count { try restart() }
        }
    }

    /// False: the process has ended, or takes no more.
    private func writeLeftOver() -> Bool {
        guard !leftOver.isEmpty else { return true }
        let rest = leftOver
        leftOver.removeFirst(rest.withUnsafeBytes { push($0) })
        return leftOver.isEmpty
    }

    /// Writes until all is in the pipe or its reader is gone; how many bytes.
    private func push(_ lines: UnsafeRawBufferPointer) -> Int {
        let pipe = live.withLock { $0.pipe }
        var written = 0
        while written < lines.count {
            let count = Glibc.write(pipe, lines.baseAddress.map { $0 + written }, lines.count - written)
            if count >= 0 {
                written += count
            } else if errno == EAGAIN {
                waitUntilWritable(pipe)
            } else if errno != EINTR {
                break
            }
        }
        let accepted = lines.prefix(written)
        sent.append(accepted)
        bytes.add(written, ordering: .relaxed)
        events.add(accepted.lineFeeds, ordering: .relaxed)
        return written
    }

    private func waitUntilWritable(_ pipe: Int32) {
        var set = pollfd(fd: pipe, events: Int16(POLLOUT), revents: 0)
        if poll(&set, 1, 5000) == 0 {
            log.warning("\(name) takes nothing; waiting for it")
            poll(&set, 1, -1)
        }
    }
}

extension CommandSink {
    func finish() throws(StageError) {
        while true {
            guard writeLeftOver() else {
                try restart()
                continue
            }
            // With an end for reading of our own we see, once the process has ended, whether it left something in the pipe.
            let pipe = live.withLock { $0.pipe }
            let reading = open("/proc/self/fd/\(pipe)", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
            live.withLock { $0.pipe = reading }
            close(pipe)
            let ending = waitForEnd()
            guard unreadBytes > 0 else {
                guard ending == .exited(0) else {
                    throw StageError(.unavailable, "\(name) failed at its end (\(ending))")
                }
                return
            }
            try restart()
        }
    }

    /// Starts the process of this command, with a new pipe.
    private func start() throws(StageError) {
        var ends: [Int32] = [-1, -1]
        guard tgp_pipe(&ends) == 0 else { throw StageError(.localIO, "unable to make a pipe for \(name)") }
        // Only this end: a process may not expect its input to be so.
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        defer { close(ends[0]) }
        do throws(ChildProcess.Failure) {
            let process = try ChildProcess(["/bin/sh", "-c", command], input: ends[0])
            live.withLock { $0 = Live(process: process, pipe: ends[1]) }
        } catch {
            close(ends[1])
            throw StageError(.unavailable, "unable to start \(name): \(error)")
        }
        sent = SentLines(pipeBytes: max(1 << 16, Int(tgp_set_pipe_size(ends[1], 1 << 16))))
    }

    /// Starts the command again after its process has ended, or no longer takes its input.
    ///
    /// - Throws: `StageError` (69) when it has been started often enough.
    private func restart() throws(StageError) {
        let unread = unreadBytes
        let (hasTakenLine, untaken) = (sent.hasTakenLine(unread: unread), sent.untaken(unread: unread))
        leftOver = untaken + leftOver
        bytes.add(-untaken.count, ordering: .relaxed)
        events.add(-untaken.lineFeeds, ordering: .relaxed)
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
        guard fruitless < CommandSink.fruitlessStarts, !isMissing else {
            throw StageError(.unavailable, "\(name) ended without taking an event (\(ending))")
        }
        let pause = backoff.next()
        log.warning("\(name) ended with events still to come (\(ending)); starting it again in \(pause.spanText)")
        usleep(UInt32(clamping: pause.milliseconds * 1000))
        try start()
    }

    /// Waits for a process that has all its input: as long as its work takes, as a shell would.
    private func waitForEnd() -> ChildProcess.Ending {
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

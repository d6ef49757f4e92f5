import CChild
import Glibc

/// Watches one child from its start to its reaping; on the child's thread.
struct Supervisor {
    private let child: pid_t
    private let watch: Int32
    private let lines: Pipe
    private let errors: Pipe
    private let cancellation: Pipe

    private var output = LineBuffer()
    private var errorTail = LineTail()
    private var printedBytes = 0
    private var isOutputOpen = true
    private var isErrorOpen = true
    /// Why the child was asked to end.
    private var ending: ChildExit.Cause?
    private var killTime: ContinuousClock.Instant?

    init(_ child: pid_t, lines: Pipe, errors: Pipe, cancellation: Pipe) throws(MediaError) {
        self.child = child
        self.lines = lines
        self.errors = errors
        self.cancellation = cancellation
        watch = tgp_child_watch(child)
        guard watch >= 0 else {
            kill(-child, SIGKILL)
            _ = tgp_child_reap(child)
            throw .local("watch a program", -watch)
        }
    }

    mutating func supervise(_ command: ChildCommand, grace: Duration, onLine: (String) -> Void) -> ChildExit {
        let deadline = ContinuousClock.now + command.deadline
        while !waitForEvents(until: killTime ?? deadline, onLine) {
            if let killTime, ContinuousClock.now >= killTime {
                kill(-child, SIGKILL)
                self.killTime = .now + grace
            } else if ending == nil, ContinuousClock.now >= deadline {
                end(.overdue, grace)
            } else if ending == nil, printedBytes > command.maxOutputBytes {
                end(.flooded, grace)
            } else if ending == nil, isReadable(cancellation.readEnd) {
                end(.killed(signal: SIGTERM), grace)
            }
        }
        return reap(onLine)
    }

    private mutating func end(_ cause: ChildExit.Cause, _ grace: Duration) {
        ending = cause
        killTime = .now + grace
        kill(-child, SIGTERM)
    }

    /// Reads what there is; true when the child has ended.
    private mutating func waitForEvents(until time: ContinuousClock.Instant, _ onLine: (String) -> Void) -> Bool {
        let readable = Int16(POLLIN)
        var descriptors = [
            pollfd(fd: watch, events: readable, revents: 0),
            pollfd(fd: isOutputOpen ? lines.readEnd : -1, events: readable, revents: 0),
            pollfd(fd: isErrorOpen ? errors.readEnd : -1, events: readable, revents: 0),
            pollfd(fd: ending == nil ? cancellation.readEnd : -1, events: readable, revents: 0),
        ]
        let (seconds, attoseconds) = max(.zero, time - .now).components
        let milliseconds = min(3_600_000, seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
        poll(&descriptors, nfds_t(descriptors.count), Int32(milliseconds))
        if descriptors[1].revents != 0 { readOutput(onLine) }
        if descriptors[2].revents != 0 { readErrors() }
        return descriptors[0].revents != 0
    }

    private mutating func readOutput(_ onLine: (String) -> Void) {
        isOutputOpen = read(lines.readEnd) { bytes in
            printedBytes += bytes.count
            output.append(bytes, onLine)
        }
    }

    private mutating func readErrors() {
        isErrorOpen = read(errors.readEnd) { bytes in
            printedBytes += bytes.count
            errorTail.append(bytes)
        }
    }

    /// Reads once; false at the end.
    private func read(_ descriptor: Int32, _ take: (UnsafeRawBufferPointer) -> Void) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 16) { buffer in
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count > 0 { take(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
            return count > 0 || (count < 0 && errno == EINTR)
        }
    }

    private func isReadable(_ descriptor: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) > 0
    }

    /// Takes what the dead child left, ends what it started, and frees its number.
    private mutating func reap(_ onLine: (String) -> Void) -> ChildExit {
        kill(-child, SIGKILL)
        while isOutputOpen, isReadable(lines.readEnd) { readOutput(onLine) }
        while isErrorOpen, isReadable(errors.readEnd) { readErrors() }
        output.finish(onLine)
        let status = tgp_child_reap(child)
        close(watch)
        let natural: ChildExit.Cause = status >= 256 ? .killed(signal: status - 256) : .exited(status)
        return ChildExit(cause: ending ?? natural, errorLines: errorTail.lines)
    }
}

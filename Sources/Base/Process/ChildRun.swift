import Glibc
import Synchronization
import System

/// Runs a program to its end: feeds it, reads its output, and ends it when it is cancelled, late or prints too much.
///
/// The program's whole group ends with the program, with the run, and with this process, however that ends.
package struct ChildRun: Sendable {
    /// Tells how a run ended.
    package struct Exit: Sendable {
        package enum Cause: Sendable, Equatable {
            /// The program ended without being asked to by this run.
            case ended(ChildProcess.Ending)
            /// The program still ran after `timeout` and was ended.
            case overdue
            /// The program printed more than `maxOutputBytes` and was ended.
            case flooded
            /// The task was cancelled and the program was ended.
            case cancelled
        }

        package let cause: Cause
        /// The last lines of standard error, at most 16 KiB; none when `keepsErrors` is off.
        package let errorLines: [String]

        package init(cause: Cause, errorLines: [String]) {
            self.cause = cause
            self.errorLines = errorLines
        }

        package var isSuccess: Bool { cause == .ended(.exited(0)) }
    }

    package var command: Command
    /// The bytes for the program's standard input, which then ends. The program need not read them all.
    package var input: [UInt8] = []
    /// A file for standard output, created or emptied; nil hands standard output to `run`'s closure.
    package var outputFile: String?
    /// Is true if the last lines of standard error are kept; otherwise the program writes to this process's standard error.
    package var keepsErrors = true
    /// The longest time the program may run.
    package var timeout: Duration
    /// The time for the program to end after it was asked to (`SIGTERM`). After that it is killed.
    package var grace: Duration = .seconds(5)
    /// The most bytes that the program may print: to standard output, and to standard error while `keepsErrors` is on.
    package var maxOutputBytes = 64 << 20

    package init(_ command: Command, timeout: Duration) {
        self.command = command
        self.timeout = timeout
    }

    /// Runs the program.
    ///
    /// - Parameter onOutput: gets the standard output piece by piece, at most `maxOutputBytes`, on the run's own thread.
    /// - Throws: `ChildProcess.Failure` when the program could not be started. A failing program is a value.
    package func run(
        onOutput: @escaping @Sendable (UnsafeRawBufferPointer) -> Void = { _ in }
    ) async throws(ChildProcess.Failure) -> Exit {
        let cancellation = Linux.eventCounter()
        guard cancellation >= 0 else { throw ChildProcess.Failure(step: .openPipe, code: errno) }
        defer { close(cancellation) }
        let result: Result<Exit, ChildProcess.Failure> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // The guard dies with the thread that started it, so that thread waits for the program.
                BlockingThread.start {
                    continuation.resume(
                        returning: Result { () throws(ChildProcess.Failure) in
                            try runToEnd(cancellation, onOutput)
                        })
                }
            }
        } onCancel: {
            var one: UInt64 = 1
            _ = write(cancellation, &one, 8)
        }
        return try result.get()
    }

    /// Runs the program and hands out its standard output line by line.
    ///
    /// - Parameter onLine: gets each line that is not empty, without its line feed and cut at 256 KiB, on the run's own thread.
    /// - Throws: `ChildProcess.Failure` when the program could not be started.
    package func run(onLine: @escaping @Sendable (String) -> Void) async throws(ChildProcess.Failure) -> Exit {
        let lines = Mutex(LineBuffer())
        let exit = try await run(onOutput: { bytes in lines.withLock { $0.append(bytes, onLine) } })
        lines.withLock { $0.finish(onLine) }
        return exit
    }

    private func runToEnd(
        _ cancellation: Int32, _ onOutput: (UnsafeRawBufferPointer) -> Void
    ) throws(ChildProcess.Failure) -> Exit {
        let file = try outputFile.map { path throws(ChildProcess.Failure) in
            let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard descriptor >= 0 else { throw ChildProcess.Failure(step: .openFile, code: errno) }
            return descriptor
        }
        defer { if let file { close(file) } }
        let child = try ChildProcess(
            command, input: input.isEmpty ? .null : .pipe(), output: file.map { .descriptor($0) } ?? .pipe(),
            errors: keepsErrors ? .pipe() : .inherited, lifetime: .endsWithParent)
        var supervisor = Supervisor(child, self, cancellation)
        defer { supervisor.close() }
        return supervisor.superviseToEnd(onOutput)
    }
}

/// Watches one child from its start to its end, on the thread that started it.
private struct Supervisor {
    private let child: ChildProcess
    private let run: ChildRun
    private let cancellation: Int32
    private var input: Int32
    private var output: Int32
    private var errors: Int32

    private var writtenBytes = 0
    private var printedBytes = 0
    private var errorTail = LineTail()
    private var isCancelled = false
    /// The reason for which the program was asked to end.
    private var ending: ChildRun.Exit.Cause?
    private var killTime: ContinuousClock.Instant?

    init(_ child: ChildProcess, _ run: ChildRun, _ cancellation: Int32) {
        (self.child, self.run, self.cancellation) = (child, run, cancellation)
        (input, output, errors) = (child.takeInput(), child.takeOutput(), child.takeErrors())
    }

    mutating func close() {
        for descriptor in [input, output, errors] where descriptor >= 0 { Glibc.close(descriptor) }
        (input, output, errors) = (-1, -1, -1)
    }

    mutating func superviseToEnd(_ onOutput: (UnsafeRawBufferPointer) -> Void) -> ChildRun.Exit {
        let deadline = ContinuousClock.now + run.timeout
        while !waitForEvents(until: killTime ?? deadline, onOutput) {
            if let killTime {
                guard ContinuousClock.now >= killTime else { continue }
                child.signal(SIGKILL)
                self.killTime = .now + run.grace
            } else if printedBytes > run.maxOutputBytes {
                end(.flooded)
            } else if isCancelled {
                end(.cancelled)
            } else if ContinuousClock.now >= deadline {
                end(.overdue)
            }
        }
        return finish(onOutput)
    }

    private mutating func end(_ cause: ChildRun.Exit.Cause) {
        ending = cause
        killTime = .now + run.grace
        closeInput()
        child.signal(SIGTERM)
    }

    /// Moves the bytes that can be moved; returns true when the program has ended.
    private mutating func waitForEvents(
        until time: ContinuousClock.Instant, _ onOutput: (UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        let readable = Int16(POLLIN)
        var entries = [
            pollfd(fd: child.watch, events: readable, revents: 0),
            pollfd(fd: output, events: readable, revents: 0),
            pollfd(fd: errors, events: readable, revents: 0),
            pollfd(fd: input, events: Int16(POLLOUT), revents: 0),
            pollfd(fd: ending == nil ? cancellation : -1, events: readable, revents: 0),
        ]
        poll(&entries, nfds_t(entries.count), ContinuousClock.now.duration(to: time).pollMilliseconds)
        if entries[1].revents != 0 { readOutput(onOutput) }
        if entries[2].revents != 0 { readErrors() }
        if entries[3].revents != 0 { writeInput() }
        if entries[4].revents != 0 { isCancelled = true }
        return entries[0].revents != 0
    }

    private mutating func writeInput() {
        let count = run.input[writtenBytes...].withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
        if count > 0 { writtenBytes += count }
        // A program may read only a part of its input (EPIPE).
        let isBroken = count < 0 && errno != EAGAIN && errno != EINTR
        if isBroken || writtenBytes == run.input.count { closeInput() }
    }

    private mutating func closeInput() {
        if input >= 0 { Glibc.close(input) }
        input = -1
    }

    /// Returns false when there is nothing to read now, or ever.
    @discardableResult
    private mutating func readOutput(_ onOutput: (UnsafeRawBufferPointer) -> Void) -> Bool {
        let room = run.maxOutputBytes - printedBytes
        var count = 0
        Supervisor.read(&output) { bytes in
            count = bytes.count
            if room > 0 { onOutput(UnsafeRawBufferPointer(rebasing: bytes.prefix(room))) }
        }
        printedBytes += count
        return count > 0
    }

    @discardableResult
    private mutating func readErrors() -> Bool {
        var count = 0
        var tail = errorTail
        Supervisor.read(&errors) { bytes in
            count = bytes.count
            tail.append(bytes)
        }
        errorTail = tail
        printedBytes += count
        return count > 0
    }

    /// Reads once, and closes the descriptor at the end of its pipe.
    private static func read(_ descriptor: inout Int32, _ take: (UnsafeRawBufferPointer) -> Void) {
        let open = descriptor
        guard open >= 0 else { return }
        let isOver = withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 16) { buffer in
            let count = Glibc.read(open, buffer.baseAddress, buffer.count)
            if count > 0 { take(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
            return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)
        }
        guard isOver else { return }
        Glibc.close(open)
        descriptor = -1
    }

    /// Kills the processes that the program left, reads its last output, and reaps it.
    private mutating func finish(_ onOutput: (UnsafeRawBufferPointer) -> Void) -> ChildRun.Exit {
        child.signal(SIGKILL)
        // The limit also ends this when a process that left the group keeps printing.
        while printedBytes <= run.maxOutputBytes, readOutput(onOutput) {}
        while printedBytes <= run.maxOutputBytes, readErrors() {}
        if ending == nil, printedBytes > run.maxOutputBytes { ending = .flooded }
        // The watch has shown its end, so this does not block.
        let natural = child.wait(atMost: .seconds(60)) ?? .signalled(SIGKILL)
        return ChildRun.Exit(cause: ending ?? .ended(natural), errorLines: errorTail.lines)
    }
}

import System
import CChild
import Glibc

/// One run of a program: lines go in, lines come out, and how it ends counts.
///
/// The program is the first of a group of processes that ends with it, with this run, and with ev-queue, however that ends.
struct ChildRun: Sendable {
    /// How a run ended that did not do its work.
    enum Ending: Error, CustomStringConvertible {
        case exited(Int32)
        case killed(signal: Int32)
        case overdue
        case flooded

        /// The exit status, when it ended by itself.
        private var status: ExitStatus? {
            if case .exited(let status) = self { ExitStatus(rawValue: status) } else { nil }
        }

        /// Wrong settings and refused credentials: no fault of the events, and the next ones would meet them as well.
        var endsWorker: Bool { status == .configuration || status == .authenticationRefused }
        var mayPass: Bool { status != .malformedInput }
        var exitStatus: ExitStatus { status ?? .unavailable }

        var description: String {
            switch self {
            case .exited(let status): "ended with status \(status)"
            case .killed(let number): "was ended by signal \(number)"
            case .overdue: "did not end in time, and was ended"
            case .flooded: "wrote more than --max-output allows, and was ended"
            }
        }
    }

    private let program: Program
    private let input: [UInt8]
    private let timeout: Duration
    private let maxOutputBytes: Int

    init(_ program: Program, input: [UInt8], timeout: Duration, maxOutputBytes: Int) {
        (self.program, self.input, self.timeout, self.maxOutputBytes) = (program, input, timeout, maxOutputBytes)
    }

    /// Runs it to its end; what it wrote, whole lines.
    ///
    /// - Throws: `ToolError` when it could not be started, `CancellationError` when it was ended because of a cancellation.
    func result() async throws -> Result<[UInt8], Ending> {
        let cancellation = Linux.eventCounter()
        guard cancellation >= 0 else { throw ToolError(.unavailable, "no descriptors left") }
        defer { close(cancellation) }
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                BlockingThread.start {
                    continuation.resume(returning: Result { try RunningChild.start(program, cancellation).run(self) })
                }
            }
        } onCancel: {
            var one: UInt64 = 1
            _ = write(cancellation, &one, 8)
        }
        try Task.checkCancellation()
        return try outcome.get()
    }

    /// On the child's own thread.
    fileprivate func supervise(_ child: inout RunningChild) -> Result<[UInt8], Ending> {
        let deadline = ContinuousClock.now + timeout
        var written = 0
        var output: [UInt8] = []
        while true {
            let events = child.poll(until: deadline, writes: written < input.count)
            if events.isWritable { written += child.write(input[written...]) }
            if written == input.count || events.isInputClosed { child.closeInput() }
            if events.isReadable { child.read(into: &output) }
            if output.count > maxOutputBytes { return child.end(.flooded) }
            if events.isEnded { break }
            if events.isCancelled { return child.end(.killed(signal: SIGTERM)) }
            if ContinuousClock.now >= deadline { return child.end(.overdue) }
        }
        child.drain(into: &output, atMost: maxOutputBytes)
        let status = child.reap()
        guard output.count <= maxOutputBytes else { return .failure(.flooded) }
        if status == 0 { return .success(output.wholeLines) }
        return .failure(status >= 256 ? .killed(signal: status - 256) : .exited(status))
    }
}

extension [UInt8] {
    /// With a line feed behind the last line.
    fileprivate var wholeLines: [UInt8] { last.map { $0 == 0x0A ? self : self + [0x0A] } ?? [] }
}

/// A child and the pipes to it; of one thread.
private struct RunningChild: ~Copyable {
    struct Events {
        var isWritable = false
        var isInputClosed = false
        var isReadable = false
        var isEnded = false
        var isCancelled = false
    }

    private let group: pid_t
    private let watch: Int32
    private let cancellation: Int32
    private var input: Int32
    private let output: Int32
    private var isOutputOpen = true

    private init(group: pid_t, watch: Int32, cancellation: Int32, input: Int32, output: Int32) {
        (self.group, self.watch, self.cancellation) = (group, watch, cancellation)
        (self.input, self.output) = (input, output)
    }

    /// Starts a program, on the thread that will wait for it: it ends with that thread.
    static func start(_ program: Program, _ cancellation: Int32) throws -> RunningChild {
        guard let inputs = PipeCalls.open() else { throw ToolError(.unavailable, "no pipes left") }
        guard let outputs = PipeCalls.open() else {
            close(inputs.reading)
            close(inputs.writing)
            throw ToolError(.unavailable, "no pipes left")
        }
        let group = program.start(input: inputs.reading, output: outputs.writing)
        close(inputs.reading)
        close(outputs.writing)
        let watch = group > 0 ? tgp_child_watch(group) : group
        guard watch >= 0 else {
            close(inputs.writing)
            close(outputs.reading)
            throw ToolError(.configuration, "unable to start \(program.name): \(String(cString: strerror(-watch)))")
        }
        for descriptor in [inputs.writing, outputs.reading] { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }
        return RunningChild(
            group: group, watch: watch, cancellation: cancellation, input: inputs.writing, output: outputs.reading)
    }

    deinit {
        if input >= 0 { close(input) }
        close(output)
        close(watch)
    }

    consuming func run(_ run: ChildRun) -> Result<[UInt8], ChildRun.Ending> { run.supervise(&self) }

    func poll(until deadline: ContinuousClock.Instant, writes: Bool) -> Events {
        var entries = [
            pollfd(fd: watch, events: Int16(POLLIN), revents: 0),
            pollfd(fd: isOutputOpen ? output : -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: writes ? input : -1, events: Int16(POLLOUT), revents: 0),
            pollfd(fd: cancellation, events: Int16(POLLIN), revents: 0),
        ]
        let (seconds, attoseconds) = max(.zero, deadline - .now).components
        let milliseconds = min(3_600_000, seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
        Glibc.poll(&entries, nfds_t(entries.count), Int32(milliseconds))
        let broken = Int16(POLLERR) | Int16(POLLHUP)
        return Events(
            isWritable: entries[2].revents & Int16(POLLOUT) != 0 && entries[2].revents & broken == 0,
            // It may read only a part of them.
            isInputClosed: entries[2].revents & broken != 0, isReadable: entries[1].revents != 0,
            isEnded: entries[0].revents != 0, isCancelled: entries[3].revents != 0)
    }

    func write(_ bytes: ArraySlice<UInt8>) -> Int {
        max(0, bytes.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) })
    }

    mutating func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// Reads what there is, once; false when there was nothing.
    @discardableResult
    mutating func read(into bytes: inout [UInt8]) -> Bool {
        let output = output
        let count = withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { buffer in
            let count = Glibc.read(output, buffer.baseAddress, buffer.count)
            if count > 0 { bytes.append(contentsOf: buffer[..<count]) }
            return count
        }
        if count == 0 { isOutputOpen = false }
        return count > 0
    }

    /// Takes what the ended child left in its pipe.
    mutating func drain(into bytes: inout [UInt8], atMost limit: Int) {
        while bytes.count <= limit, read(into: &bytes) {}
    }

    /// Ends it and what it started: asked first, killed when it is still there 2 seconds later.
    mutating func end(_ ending: ChildRun.Ending) -> Result<[UInt8], ChildRun.Ending> {
        closeInput()
        kill(-group, SIGTERM)
        var entry = pollfd(fd: watch, events: Int16(POLLIN), revents: 0)
        if Glibc.poll(&entry, 1, 2000) == 0 { kill(-group, SIGKILL) }
        _ = reap()
        return .failure(ending)
    }

    /// Ends what it started, and frees its number; its exit status, or 256 and the signal that ended it.
    func reap() -> Int32 {
        kill(-group, SIGKILL)
        return tgp_child_reap(group)
    }
}

extension Program {
    /// Its group's id, or a negative error number.
    fileprivate func start(input: Int32, output: Int32) -> pid_t {
        let words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        return words.withUnsafeBufferPointer { words in
            guard let arguments = words.baseAddress else { return -EINVAL }
            return path.withCString { path in
                ".".withCString { directory in
                    var child = tgp_child(
                        path: path, arguments: arguments, environment: Linux.environment, directory: directory,
                        input: input, output: output, error: STDERR_FILENO, max_file_bytes: 0)
                    return tgp_child_start(&child)
                }
            }
        }
    }
}

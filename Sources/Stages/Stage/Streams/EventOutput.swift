package import Options
import System
package import Envelope
import Glibc
package import Queue
import Synchronization

/// Writes whole lines from tasks to standard output, a file (appended to), a FIFO, or a queue.
///
/// A write returns when the kernel, or the queue, has all of it; see `LineOutput`.
package final class EventOutput: Sendable {
    private enum Kind {
        case lines(LineSink)
        case queue(QueueSink)
    }

    private let kind: Kind
    /// Counts the lines that are no publication to a queue, which the queue's own types count.
    private let activity: StageActivity?

    /// - Throws: `ToolError` (74), `QueueError`, and `CancellationError` when the shutdown ended a wait.
    package init(_ options: OutputOptions, runtime: Runtime) async throws {
        activity = runtime.activity
        if let queue = try QueueName(endpoint: options.to) {
            kind = .queue(try await QueueSink([queue], maxLength: options.maxLength, runtime: runtime))
        } else {
            kind = try await EventOutput.lines(options.to, runtime.shutdown)
            runtime.activity.writes(options.to)
            if options.to == "-" { runtime.readerWatch.noteOutput() }
        }
    }

    /// - Parameters:
    ///   - endpoint: `-` or a path; a FIFO is opened once it has a reader.
    ///   - shutdown: ends the wait for that reader.
    /// - Throws: `ToolError` (74), and `CancellationError` when the wait was ended.
    package init(endpoint: String, shutdown: Shutdown) async throws {
        activity = nil
        kind = try await EventOutput.lines(endpoint, shutdown)
    }

    private static func lines(_ endpoint: String, _ shutdown: Shutdown) async throws -> Kind {
        let thread = BlockingThread()
        let probe = try await EventOutput.waitForReader(of: endpoint, shutdown)
        defer { if let probe { close(probe) } }
        return .lines(LineSink(thread, try await thread.run { try LineOutput(endpoint: endpoint) }))
    }

    /// Waits until a FIFO has a reader. A signal would not end a wait in `open` itself.
    ///
    /// - Returns: a descriptor that keeps the next `open` from blocking; nil if the path leads to something else than a FIFO.
    private static func waitForReader(of path: String, _ shutdown: Shutdown) async throws -> Int32? {
        var status = stat()
        guard path != "-", stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return nil }
        while true {
            let descriptor = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
            if descriptor >= 0 { return descriptor }
            guard errno == ENXIO || errno == EINTR else { throw ToolError.localIO("unable to open \(path)") }
            _ = try await shutdown.interrupting { try await Task.sleep(for: .milliseconds(20)) }
            guard !shutdown.isRequested else { throw CancellationError() }
        }
    }

    /// Writes whole lines, line feeds included.
    package func write(_ lines: [UInt8]) async throws {
        guard !lines.isEmpty else { return }
        switch kind {
        case .lines(let sink):
            try await sink.write(lines)
            activity?.countWritten(lines.lineFeeds)
        case .queue(let sink): try await sink.publish(QueueLine.lines(of: lines))
        }
    }

    package func write(_ envelopes: [Envelope]) async throws {
        try await write(envelopes.flatMap(\.line))
    }

    /// Writes pieces one after another, each of whole lines, and runs `note` immediately after each of them, on the same thread.
    ///
    /// A piece is written without its note only if the process is killed between the two system calls.
    ///
    /// - Parameter note: receives the number of pieces that have been written.
    package func write(_ pieces: [[UInt8]], noting note: @escaping @Sendable (_ written: Int) throws -> Void)
        async throws
    {
        switch kind {
        case .lines(let sink):
            try await sink.write(pieces, noting: note)
            activity?.countWritten(pieces.reduce(0) { $0 + $1.lineFeeds })
        case .queue(let sink):
            for (index, piece) in pieces.enumerated() {
                try await sink.publish(QueueLine.lines(of: piece))
                try note(index + 1)
            }
        }
    }

    /// Publishes lines and sets a key of Redis in one step.
    ///
    /// - Parameter lines: at most `QueueSink.mostTogether`, which have less than 1 MiB without the last of them.
    /// - Returns: false, with nothing done, if the output is not a queue.
    package func publish(_ lines: [[UInt8]], settingKey key: String, to value: String) async throws -> Bool {
        guard case .queue(let sink) = kind else { return false }
        try await sink.publish(lines.flatMap { QueueLine.lines(of: $0) }, setting: [(key, value)])
        return true
    }

    /// Writes the joint results of entries, whole lines, and acknowledges the entries; in one step if the output is a queue.
    package func write(_ lines: [UInt8], finishing entries: [QueueEntry], of source: QueueSource) async throws {
        var results = BatchResults()
        for (index, entry) in entries.enumerated() { results.add(entry) { if index == 0 { $0 = lines } } }
        try await write(results, from: source)
    }

    /// The queue, if the output is one.
    package var sink: QueueSink? {
        if case .queue(let sink) = kind { sink } else { nil }
    }

    /// Publishes the results of an event that is given up, and moves the event to the dead letters; in one step if the
    /// output is a queue.
    func giveUp(
        _ entry: QueueEntry, _ reason: DeadLetterReason, publishing results: [Envelope], from source: QueueSource
    ) async throws {
        if let sink { return try await source.moveToDeadLetters(entry, reason, publishing: results, to: sink) }
        if !results.isEmpty {
            // The results come first: after a kill between the steps the user is told twice, and not never.
            guard try await !source.entriesStillLeased([entry]).isEmpty else { return }
            try await write(results)
        }
        try await source.moveToDeadLetters(entry, reason)
    }

    /// Writes the results of events, and acknowledges those of a queue; in one step if the output is a queue.
    func write(_ results: BatchResults, from source: QueueSource?) async throws {
        switch (kind, source) {
        case (.lines, nil): try await write(results.bytes)
        case (.queue(let sink), nil): try await sink.publish(results.lines)
        case (.queue(let sink), let source?): try await source.finish(results.ofEntries, to: sink.outputs)
        case (.lines, let source?):
            // The results of entries that another worker has claimed are left to that worker.
            let entries = results.items.compactMap(\.entry)
            let owned = try await source.entriesStillLeased(entries)
            try await write(owned.count == entries.count ? results.bytes : results.bytes(of: owned))
            try await source.finish(owned.map { QueueResult($0) })
        }
    }
}

extension [UInt8] {
    /// The number of lines. A search for each line feed costs a fraction of what a look at each byte does.
    fileprivate var lineFeeds: Int {
        withUnsafeBytes { bytes in
            guard var position = bytes.baseAddress else { return 0 }
            let end = position + bytes.count
            var count = 0
            while position < end, let found = memchr(position, 0x0A, end - position) {
                count += 1
                position = UnsafeRawPointer(found) + 1
            }
            return count
        }
    }
}

/// Writes lines from tasks: at once if that needs no waiting, and otherwise on a thread of its own. A call that begins when
/// another one has returned comes after it.
private final class LineSink: Sendable {
    private let thread: BlockingThread
    private let output: LineOutput
    /// The number of calls that are left to the thread.
    private let waiting = Atomic(0)

    init(_ thread: BlockingThread, _ output: LineOutput) { (self.thread, self.output) = (thread, output) }

    func write(_ lines: [UInt8]) async throws {
        // To wake the thread, and the task after it, takes longer than all else that a stage does for an event.
        if waiting.load(ordering: .acquiring) == 0, lines.withUnsafeBytes(output.writeWithoutWaiting) { return }
        try await write([lines]) { _ in }
    }

    /// - Parameter note: runs on the thread after each piece has been written, with the number of those that have been.
    func write(_ pieces: [[UInt8]], noting note: @escaping @Sendable (_ written: Int) throws -> Void) async throws {
        waiting.add(1, ordering: .acquiringAndReleasing)
        defer { waiting.subtract(1, ordering: .acquiringAndReleasing) }
        try await thread.run { [output] in
            for (index, piece) in pieces.enumerated() {
                try piece.withUnsafeBytes { try output.write($0) }
                try note(index + 1)
            }
        }
    }
}

/// Collects the results of a batch of events: whole lines one after another, and the entry that each belongs to.
struct BatchResults: Sendable {
    struct Item: Sendable {
        let entry: QueueEntry?
        let range: Range<Int>
    }

    private(set) var bytes: [UInt8]
    private(set) var items: [Item] = []

    /// - Parameter memory: an empty array whose memory is used.
    init(memory: [UInt8] = []) { bytes = memory }

    mutating func reserve(bytes count: Int, items: Int) {
        bytes.reserveCapacity(count)
        self.items.reserveCapacity(items)
    }

    /// Adds the results of one event.
    mutating func add(_ entry: QueueEntry?, _ write: (inout [UInt8]) -> Void) {
        let start = bytes.count
        write(&bytes)
        items.append(Item(entry: entry, range: start..<bytes.count))
    }

    var lines: [QueueLine] { items.flatMap(lines) }

    var ofEntries: [QueueResult] {
        items.compactMap { item in item.entry.map { QueueResult($0, lines: lines(of: item)) } }
    }

    func bytes(of entries: Set<QueueEntry>) -> [UInt8] {
        var kept: [UInt8] = []
        for item in items where item.entry.map(entries.contains) ?? true { kept += bytes[item.range] }
        return kept
    }

    private func lines(of item: Item) -> [QueueLine] {
        bytes[item.range].split(separator: UInt8(ascii: "\n")).map { QueueLine($0) }
    }
}

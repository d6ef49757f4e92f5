import Archive
import JSON
import Logging
import Options
import Queue
import Stage
import System

/// Reads events, collects them in batches, and stores these. While one batch is stored, the next one is read.
struct Loading {
    /// The longest time that a message waits for others.
    private static let longestWait = Duration.milliseconds(200)
    private static let mostEntries = 1000

    let runtime: Runtime
    let input: InputOptions
    let output: OutputOptions
    let writer: WriterThread

    func run() async throws -> ExitStatus {
        let sink = try await EventOutput(output, runtime: runtime)
        let deadLetters = try await DeadLetters(runtime: runtime, path: input.deadLetter)
        var stored = 0
        if let queue = try QueueName(endpoint: input.from) {
            let source = try await QueueSource(queue, options: input.queue, runtime: runtime)
            try source.checkIsNotLoop(sink.sink)
            var loading = QueueLoading(
                runtime: runtime, source: source, sink: sink, writer: writer, maxLineBytes: Int(input.maxLine.bytes))
            stored = try await loading.run()
        } else {
            runtime.noteTerminal(input.from)
            let reader = EventInput(
                endpoint: input.from, maxLineBytes: Int(input.maxLine.bytes), shutdown: runtime.shutdown,
                activity: runtime.activity)
            var loading = StreamLoading(reader: reader, sink: sink, deadLetters: deadLetters, writer: writer)
            stored = try await loading.run()
        }
        runtime.log.info(
            "stored what was read",
            metadata: ["messages": .stringConvertible(stored), "failures": .stringConvertible(writer.failures)])
        return writer.failures > 0 ? .malformedInput : .success
    }

    /// Collects events in a batch until it is to be stored.
    struct Collected {
        let batch: RowBatch
        /// The lines that are forwarded once the batch is stored.
        var forwarded: [UInt8] = []
        var since: ContinuousClock.Instant?

        init(for writer: WriterThread) { batch = RowBatch(keepsCounters: writer.keepsCounters) }

        var isEmpty: Bool { batch.isEmpty && forwarded.isEmpty }
        var isFull: Bool { batch.isFull || forwarded.count >= RowBatch.mostBytes }

        /// The time for which more events may be waited for; nil for no limit.
        var patience: Duration? { since.map { max(.zero, Loading.longestWait - ($0.duration(to: .now))) } }

        /// Takes an event.
        ///
        /// - Returns: the fault of a line that is refused.
        mutating func take(_ line: Line, _ reader: EventReader) -> MalformedInput? {
            let outcome = line.withBytes { reader.read($0, into: batch) }
            switch outcome {
            case .refused(let fault): return fault
            case .taken: break
            case .other, .noted:
                line.withBytes { forwarded.append(contentsOf: $0) }
                forwarded.append(UInt8(ascii: "\n"))
            }
            if since == nil { since = .now }
            return nil
        }

        mutating func removeAll() {
            batch.removeAll()
            forwarded.removeAll(keepingCapacity: true)
            since = nil
        }
    }
}

/// Loads from standard input, a file or a FIFO.
struct StreamLoading {
    let reader: EventInput
    let sink: EventOutput
    let deadLetters: DeadLetters
    let writer: WriterThread
    private let events = EventReader()
    private var current: Loading.Collected
    private var other: Loading.Collected
    private let progress = LoadProgress()
    /// The storing of `other`.
    private var storing: Storing?
    /// Committed batches that may not be on the disk yet: the lines to be forwarded then.
    private var unsynced: [(forwarded: [UInt8], durable: Promise<Void>)] = []
    private static let mostUnsynced = 4
    private var stored = 0

    init(reader: EventInput, sink: EventOutput, deadLetters: DeadLetters, writer: WriterThread) {
        (self.reader, self.sink, self.deadLetters, self.writer) = (reader, sink, deadLetters, writer)
        (current, other) = (Loading.Collected(for: writer), Loading.Collected(for: writer))
    }

    /// Returns the number of messages that were stored.
    mutating func run() async throws -> Int {
        while let outputs = try await reader.next(within: patience) {
            if outputs.isEmpty { try await flush() }
            for output in outputs {
                switch output {
                case .tooLong(let prefix, let size):
                    try await deadLetters.add(.tooLong(prefix: prefix, sizeBytes: size))
                case .lines(let block):
                    for line in block.lines {
                        if let fault = current.take(line, events) {
                            try await deadLetters.add(RefusedLine(line, fault))
                        }
                        if current.isFull { try await store() }
                    }
                }
            }
            if current.patience == .zero { try await store() }
        }
        try await flush()
        return stored
    }

    /// The time for which input may be waited for.
    private var patience: Duration? {
        current.patience ?? (storing == nil && unsynced.isEmpty ? nil : .milliseconds(200))
    }

    /// Stores what has been read, and waits for it.
    private mutating func flush() async throws {
        try await store()
        try await finishStoring()
        try await forward(leaving: 0)
    }

    /// Begins to store what has been read.
    private mutating func store() async throws {
        guard !current.isEmpty else { return }
        try await finishStoring()
        swap(&current, &other)
        storing = writer.begin(other.batch)
    }

    private mutating func finishStoring() async throws {
        guard let storing else { return }
        self.storing = nil
        do { try await storing.committed.value() } catch {
            try await forward(leaving: 0)
            throw error
        }
        stored += other.batch.received
        progress.show(stored, writer)
        unsynced.append((other.forwarded, storing.durable))
        other.removeAll()
        try await forward(leaving: StreamLoading.mostUnsynced)
    }

    /// Forwards lines whose batches are on the disk, and waits for that.
    private mutating func forward(leaving count: Int) async throws {
        while unsynced.count > count {
            let oldest = unsynced.removeFirst()
            try await oldest.durable.value()
            try await sink.write(oldest.forwarded)
        }
    }
}

/// Loads from a queue: the entries are acknowledged once what they tell is committed.
struct QueueLoading {
    private static let mostEntries = 1000

    let runtime: Runtime
    let source: QueueSource
    let sink: EventOutput
    let writer: WriterThread
    let maxLineBytes: Int
    private let events = EventReader()
    private var current: Loading.Collected
    private var entries: [QueueEntry] = []
    private let progress = LoadProgress()
    private var stored = 0

    init(runtime: Runtime, source: QueueSource, sink: EventOutput, writer: WriterThread, maxLineBytes: Int) {
        (self.runtime, self.source, self.sink, self.writer) = (runtime, source, sink, writer)
        self.maxLineBytes = maxLineBytes
        current = Loading.Collected(for: writer)
    }

    /// Returns the number of messages that were stored.
    mutating func run() async throws -> Int {
        let batches = QueueBatches(self)
        try await source.keepingLeases { try await batches.run() }
        return batches.loading.stored
    }

    fileprivate mutating func loop() async throws {
        while true {
            let taken = try await source.next(
                limit: QueueLoading.mostEntries, isIdle: entries.isEmpty, atMost: current.patience)
            guard let taken else {
                try await store()
                if runtime.shutdown.isRequested { return }
                continue
            }
            // An event that ended workers before is stored by itself.
            if case .entries = taken {} else { try await store() }
            for entry in taken.entries { try await take(entry) }
            if case .entries = taken, !current.isFull, current.patience != .zero { continue }
            try await store()
        }
    }

    private mutating func take(_ taken: TakenEntry) async throws {
        if source.hasExhaustedAttempts(taken.entry) { return try await source.deadLetterExhausted(taken.entry) }
        let line = Line(taken.line)
        var fault: MalformedInput?
        if taken.line.count > maxLineBytes {
            fault = MalformedInput(.tooLong, "longer than --max-line")
        } else if taken.line.contains(UInt8(ascii: "\n")) {
            fault = MalformedInput(.notJSON, "the entry is not one line")
        } else {
            fault = current.take(line, events)
        }
        guard let fault else { return entries.append(taken.entry) }
        runtime.note(RefusedLine(line, fault))
        try await source.moveToDeadLetters(
            taken.entry, DeadLetterReason(code: fault.code.rawValue, text: fault.reason))
    }

    private mutating func store() async throws {
        guard !entries.isEmpty else { return }
        if !current.batch.isEmpty { try await writer.begin(current.batch).durable.value() }
        stored += current.batch.received
        progress.show(stored, writer)
        if current.forwarded.isEmpty {
            try await source.finish(entries.map { QueueResult($0) })
        } else {
            try await sink.write(current.forwarded, finishing: entries, of: source)
        }
        current.removeAll()
        entries = []
    }
}

/// Holds the state of a loading while the leases of its entries are kept.
private final class QueueBatches {
    var loading: QueueLoading

    init(_ loading: QueueLoading) { self.loading = loading }

    func run() async throws { try await loading.loop() }
}

extension RefusedLine {
    fileprivate init(_ line: Line, _ fault: MalformedInput) {
        let bytes = line.bytes
        self.init(line: bytes, sizeBytes: bytes.count, fault: fault, correlationID: nil)
    }
}

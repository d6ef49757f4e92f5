package import Envelope
import Glibc
package import JSON
package import Options
package import Queue
import Synchronization
import System

/// Represents one line of a stage's input: an event that the stage accepts, or a line that it forwards.
package enum IncomingLine: Sendable {
    case event(Envelope, Line)
    /// An event of a filter that reads no more of it than its head.
    case head(EventHead)
    case other(Line)

    package var line: Line {
        switch self {
        case .event(_, let line), .other(let line): line
        case .head(let head): head.line
        }
    }

    /// The correlation id of an event that the stage accepts.
    var correlationID: EventID? {
        switch self {
        case .event(let event, _): event.correlationID
        case .head(let head): head.correlationID
        case .other: nil
        }
    }
}

/// Represents a line of the input together with its queue entry, if it came from a queue.
struct Received: Sendable {
    let incoming: IncomingLine
    let entry: QueueEntry?
    /// The time just before a queue was asked for the entry.
    var askedAt: ContinuousClock.Instant?
}

/// Reads lines from standard input, a file or a FIFO, for tasks; ends at the end of the file or at shutdown.
package final class EventInput: Sendable {
    private let thread = BlockingThread()
    private let reader: Mutex<LineReader>
    private let activity: StageActivity?

    /// - Parameters:
    ///   - endpoint: `-` or a path.
    ///   - activity: counts the lines of a stage's input.
    package init(endpoint: String, maxLineBytes: Int, shutdown: Shutdown, activity: StageActivity? = nil) {
        self.activity = activity
        activity?.reads(endpoint)
        reader = Mutex(LineReader(endpoint: endpoint, maxLineBytes: maxLineBytes, shutdown: shutdown))
    }

    /// Returns the lines that are readable now; waits for the first. Returns nil at the end.
    ///
    /// - Parameter limit: the longest wait, after which there are no lines; nil for no limit.
    package func next(within limit: Duration? = nil) async throws -> [LineSplitter.Output]? {
        let outputs = try await thread.run { try self.reader.withLock { try $0.next(within: limit) } }
        if let activity, let outputs { activity.countTaken(outputs.reduce(0) { $0 + $1.lineCount }) }
        return outputs
    }
}

/// Reads a stage's input, checks it, and sends malformed lines to the dead letters.
package final class EventStream: Sendable {
    enum Source {
        case lines(EventInput)
        case queue(QueueSource)
    }

    let source: Source
    private let deadLetters: DeadLetters
    private let accepts: @Sendable (String) -> Bool
    private let maxLineBytes: Int
    /// Is true if a line without a correlation id gets a new one.
    private let stamps: Bool
    private let parser = Mutex(ParserBox())
    private let heads: EventHeadReader?

    /// - Parameters:
    ///   - heads: reads the events' heads in place of the whole events.
    ///   - order: the order in which a queue gives out its events, over all workers of the group.
    ///   - accepts: whether the stage handles events of a type; other lines are forwarded unparsed.
    package init(
        runtime: Runtime, options: InputOptions, heads: EventHeadReader? = nil, order: QueueOrder? = nil,
        accepts: @escaping @Sendable (String) -> Bool
    ) async throws {
        self.heads = heads
        maxLineBytes = Int(options.maxLine.bytes)
        stamps = options.stamp
        if let queue = try QueueName(endpoint: options.from) {
            source = .queue(try await QueueSource(queue, options: options.queue, order: order, runtime: runtime))
        } else {
            runtime.noteTerminal(options.from)
            source = .lines(
                EventInput(
                    endpoint: options.from, maxLineBytes: maxLineBytes, shutdown: runtime.shutdown,
                    activity: runtime.activity))
        }
        deadLetters = try await DeadLetters(runtime: runtime, path: options.deadLetter)
        self.accepts = accepts
        ServiceManager.reportReady()
    }

    var queue: QueueSource? {
        if case .queue(let queue) = source { queue } else { nil }
    }

    /// Checks that the output is not the queue that the input comes from.
    ///
    /// - Throws: `ToolError` (64).
    func checkIsNotLoop(_ sink: QueueSink?) throws(ToolError) {
        try queue?.checkIsNotLoop(sink)
    }

    /// Returns all lines that are readable now; waits for the first. Returns nil at the end of input and at shutdown.
    package func next() async throws -> [IncomingLine]? {
        guard case .lines(let input) = source else {
            // Only the loops acknowledge events of a queue.
            throw ToolError(.usage, "this tool cannot read from a queue")
        }
        return try await next(of: input)?.map(\.incoming)
    }

    func next(of input: EventInput) async throws -> [Received]? {
        while let outputs = try await input.next() {
            var items: [Received] = []
            var refused: [RefusedLine] = []
            for output in outputs {
                switch output {
                case .lines(let block):
                    for line in block.lines {
                        switch sort(line) {
                        case .success(let incoming): items.append(Received(incoming: incoming, entry: nil))
                        case .failure(let reason): refused.append(reason)
                        }
                    }
                case .tooLong(let prefix, let size): refused.append(.tooLong(prefix: prefix, sizeBytes: size))
                }
            }
            for line in refused { try await deadLetters.add(line) }
            if !items.isEmpty { return items }
        }
        return nil
    }

    /// Reads entries of a queue; malformed ones, and those without attempts left, go to the queue's dead letters.
    ///
    /// - Parameter givingUp: makes the events that are published about an event without attempts left, from the event and the reason.
    func received(
        _ entries: [TakenEntry], from queue: QueueSource, to output: EventOutput,
        givingUp: (Envelope, String) -> [Envelope]
    ) async throws -> [Received] {
        var items: [Received] = []
        for taken in entries {
            let isTooLong = taken.line.count > maxLineBytes
            switch isTooLong ? .failure(tooLong(taken.line)) : sort(Line(taken.line)) {
            case .failure(let refused):
                try await deadLetters.add(refused)
                try await queue.moveToDeadLetters(taken.entry, refused.reason, to: output.sink)
            case .success(let incoming) where queue.hasExhaustedAttempts(taken.entry):
                let reason = QueueSource.exhaustedReason(taken.entry)
                var results: [Envelope] = []
                if case .event(let event, _) = incoming { results = givingUp(event, reason.text) }
                queue.logExhausted(taken.entry)
                try await output.giveUp(taken.entry, reason, publishing: results, from: queue)
            case .success(let incoming):
                items.append(Received(incoming: incoming, entry: taken.entry, askedAt: taken.askedAt))
            }
        }
        return items
    }

    private func tooLong(_ line: [UInt8]) -> RefusedLine {
        .tooLong(prefix: Array(line.prefix(4096)), sizeBytes: line.count)
    }

    private enum Sorted {
        case success(IncomingLine)
        case failure(RefusedLine)
    }

    private func sort(_ line: Line) -> Sorted {
        // Only a line without a correlation id that is to get one has no result.
        if let sorted = sortOnce(line) { return sorted }
        return sort(Line(line.withBytes { EventID().stamped(on: $0) }))
    }

    private func sortOnce(_ line: Line) -> Sorted? {
        if let heads {
            switch heads.read(line, accepts: accepts) {
            case .success(let head): return .success(head.map { .head($0) } ?? .other(line))
            case .failure(let fault): return refusal(of: line, fault)
            }
        }
        return parser.withLock { box in
            line.withBytes { bytes in
                let scanned = box.parser.scan(bytes, padded: true)
                if let fault = scanned.fault { return refusal(of: line, ScanFault(fault, scanned)) }
                guard accepts(String(decoding: scanned.type, as: UTF8.self)) else { return .success(.other(line)) }
                do throws(MalformedInput) {
                    return .success(.event(try Envelope(try box.parser.parse(bytes, padded: true)), line))
                } catch {
                    return .failure(
                        RefusedLine(line: line.bytes, sizeBytes: bytes.count, fault: error, correlationID: nil))
                }
            }
        }
    }

    /// Returns the refusal of a line that is no event; nil if it only lacks a correlation id and is to get one.
    private func refusal(of line: Line, _ scan: ScanFault) -> Sorted? {
        if stamps, scan.fault.code == .missingCorrelationID { return nil }
        let bytes = line.bytes
        return .failure(
            RefusedLine(line: bytes, sizeBytes: bytes.count, fault: scan.fault, correlationID: scan.correlationID))
    }

    /// Sends an event that the stage accepted but cannot handle to the dead letters.
    package func refuse(_ event: Envelope, _ line: Line, _ fault: MalformedInput) async throws {
        try await refuse(event.correlationID, line, nil, fault)
    }

    /// Writes an event from a pipe that is given up to the dead-letter output.
    func deadLetter(_ event: Envelope, _ line: Line, _ reason: DeadLetterReason) async throws {
        try await deadLetters.add(line.bytes, reason, correlationID: event.correlationID)
    }

    func refuse(
        _ correlationID: EventID?, _ line: Line, _ entry: QueueEntry?, _ fault: MalformedInput
    ) async throws {
        let bytes = line.bytes
        let refused = RefusedLine(line: bytes, sizeBytes: bytes.count, fault: fault, correlationID: correlationID)
        try await deadLetters.add(refused)
        if let entry, let queue { try await queue.moveToDeadLetters(entry, refused.reason, to: nil) }
    }
}

extension RefusedLine {
    fileprivate var reason: DeadLetterReason { DeadLetterReason(code: fault.code.rawValue, text: fault.reason) }
}

private struct ParserBox: ~Copyable, @unchecked Sendable {
    let parser = JSONParser()
}

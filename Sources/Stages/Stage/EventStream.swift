package import Envelope
import Glibc
package import JSON
package import Options
import Queue
import Synchronization
import System

/// What a stage works on, in the order it came: the events it accepted, and the lines that only pass through.
package enum Incoming: Sendable {
    case event(Envelope, Line)
    case other(Line)

    package var line: Line {
        switch self {
        case .event(_, let line), .other(let line): line
        }
    }
}

/// As `Incoming`, with what a queue is to be told when it is done.
struct Received: Sendable {
    let incoming: Incoming
    let entry: QueueEntry?
}

/// A stage's input: checked, with malformed lines gone to the dead letters.
package final class EventStream: Sendable {
    enum Source {
        case lines(EventInput)
        case queue(QueueSource)
    }

    let source: Source
    private let deadLetters: DeadLetters
    private let accepts: @Sendable (String) -> Bool
    private let maxLineBytes: Int
    private let parser = Mutex(ParserBox())

    /// - Parameter accepts: whether the stage works on events of a type; the rest is passed through unparsed.
    package init(runtime: Runtime, options: InputOptions, accepts: @escaping @Sendable (String) -> Bool) async throws {
        maxLineBytes = Int(options.maxLine.bytes)
        if let queue = try QueueName(endpoint: options.from) {
            source = .queue(try await QueueSource(queue, options: options.queue, runtime: runtime))
        } else {
            source = .lines(
                EventInput(endpoint: options.from, maxLineBytes: maxLineBytes, shutdown: runtime.shutdown))
        }
        deadLetters = try await DeadLetters(runtime: runtime, path: options.deadLetter)
        self.accepts = accepts
    }

    var queue: QueueSource? {
        if case .queue(let queue) = source { queue } else { nil }
    }

    /// What goes into the queue that it comes from would go round for ever.
    func checkIsNotLoop(_ sink: QueueSink?) throws(ToolError) {
        try queue?.checkIsNotLoop(sink)
    }

    /// Everything that is readable now; waits for the first. nil at the end of input and at shutdown.
    package func next() async throws -> [Incoming]? {
        guard case .lines(let input) = source else {
            // Events of a queue are acknowledged by the loops only.
            throw ToolError(.usage, "this tool cannot read from a queue")
        }
        return try await next(of: input)?.map(\.incoming)
    }

    func next(of input: EventInput) async throws -> [Received]? {
        while let outputs = try await input.next() {
            var items: [Received] = []
            var refused: [Refused] = []
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

    /// Entries of a queue as events; those that are malformed, or have ended too many workers, go to its dead letters.
    ///
    /// - Parameter giveUp: what else is published about an event of which the workers died.
    func received(
        _ entries: [TakenEntry], from queue: QueueSource, to sink: QueueSink?,
        givingUp: (Envelope, String) -> [Envelope] = { _, _ in [] }
    ) async throws -> [Received] {
        var items: [Received] = []
        for taken in entries {
            let isTooLong = taken.line.count > maxLineBytes
            switch isTooLong ? .failure(tooLong(taken.line)) : sort(Line(taken.line)) {
            case .failure(let refused):
                try await deadLetters.add(refused)
                try await queue.bury(taken.entry, refused.burial, to: sink)
            case .success(let incoming) where queue.isWornOut(taken.entry):
                var results: [Envelope] = []
                if case .event(let event, _) = incoming {
                    results = givingUp(event, QueueSource.wornOut(taken.entry).reason)
                }
                try await queue.buryWornOut(taken.entry, publishing: results, to: sink)
            case .success(let incoming): items.append(Received(incoming: incoming, entry: taken.entry))
            }
        }
        return items
    }

    private func tooLong(_ line: [UInt8]) -> Refused {
        .tooLong(prefix: Array(line.prefix(4096)), sizeBytes: line.count)
    }

    private enum Sorted {
        case success(Incoming)
        case failure(Refused)
    }

    private func sort(_ line: Line) -> Sorted {
        parser.withLock { box in
            line.withBytes { bytes in
                let scanned = box.parser.scan(bytes, padded: true)
                if let fault = scanned.fault {
                    let correlation = EventID(String(decoding: scanned.correlationID, as: UTF8.self))
                    return .failure(
                        Refused(line: line.bytes, sizeBytes: bytes.count, fault: fault, correlationID: correlation))
                }
                guard accepts(String(decoding: scanned.type, as: UTF8.self)) else { return .success(.other(line)) }
                do throws(MalformedInput) {
                    return .success(.event(try Envelope(try box.parser.parse(bytes, padded: true)), line))
                } catch {
                    return .failure(
                        Refused(line: line.bytes, sizeBytes: bytes.count, fault: error, correlationID: nil))
                }
            }
        }
    }

    /// Sends an event that the stage accepted, but cannot work on, to the dead letters.
    package func refuse(_ event: Envelope, _ line: Line, _ fault: MalformedInput) async throws {
        try await refuse(event, line, nil, fault)
    }

    func refuse(_ event: Envelope, _ line: Line, _ entry: QueueEntry?, _ fault: MalformedInput) async throws {
        let bytes = line.bytes
        let refused = Refused(line: bytes, sizeBytes: bytes.count, fault: fault, correlationID: event.correlationID)
        try await deadLetters.add(refused)
        if let entry, let queue { try await queue.bury(entry, refused.burial, to: nil) }
    }
}

extension Refused {
    fileprivate var burial: Burial { Burial(code: fault.code.rawValue, reason: fault.reason) }
}

private struct ParserBox: ~Copyable, @unchecked Sendable {
    let parser = JSONParser()
}

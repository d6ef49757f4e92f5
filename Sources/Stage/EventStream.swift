public import Envelope
import Glibc
import Synchronization

/// What a stage works on, in the order it came: the events it accepted, and the lines that only pass through.
public enum Incoming: Sendable {
    case event(Envelope, Line)
    case other(Line)

    var line: Line {
        switch self {
        case .event(_, let line), .other(let line): line
        }
    }
}

/// A stage's input: checked, with malformed lines gone to the dead letters.
public final class EventStream: Sendable {
    private let input: EventInput
    private let deadLetters: DeadLetters
    private let accepts: @Sendable (String) -> Bool
    private let parser = Mutex(ParserBox())

    /// - Parameter accepts: whether the stage works on events of a type; the rest is passed through unparsed.
    public init(runtime: Runtime, options: InputOptions, accepts: @escaping @Sendable (String) -> Bool) async throws {
        input = EventInput(
            endpoint: options.from, maxLineBytes: Int(options.maxLine.bytes), shutdown: runtime.shutdown)
        deadLetters = try await DeadLetters(runtime: runtime, path: options.deadLetter)
        self.accepts = accepts
    }

    /// Everything that is readable now; waits for the first. nil at the end of input and at shutdown.
    public func next() async throws -> [Incoming]? {
        while let outputs = try await input.next() {
            var items: [Incoming] = []
            var refused: [Refused] = []
            for output in outputs {
                switch output {
                case .lines(let block): for line in block.lines { sort(line, &items, &refused) }
                case .tooLong(let prefix, let size): refused.append(.tooLong(prefix: prefix, sizeBytes: size))
                }
            }
            for line in refused { try await deadLetters.add(line) }
            if !items.isEmpty { return items }
        }
        return nil
    }

    private func sort(_ line: Line, _ items: inout [Incoming], _ refused: inout [Refused]) {
        parser.withLock { box in
            line.withBytes { bytes in
                let scanned = box.parser.scan(bytes, padded: true)
                if let fault = scanned.fault {
                    let correlation = EventID(String(decoding: scanned.correlationID, as: UTF8.self))
                    refused.append(
                        Refused(line: line.bytes, sizeBytes: bytes.count, fault: fault, correlationID: correlation))
                } else if accepts(String(decoding: scanned.type, as: UTF8.self)) {
                    do throws(MalformedInput) {
                        items.append(.event(try Envelope(try box.parser.parse(bytes, padded: true)), line))
                    } catch {
                        refused.append(
                            Refused(line: line.bytes, sizeBytes: bytes.count, fault: error, correlationID: nil))
                    }
                } else {
                    items.append(.other(line))
                }
            }
        }
    }

    /// Sends an event that the stage accepted, but cannot work on, to the dead letters.
    public func refuse(_ event: Envelope, _ line: Line, _ fault: MalformedInput) async throws {
        let bytes = line.bytes
        try await deadLetters.add(
            Refused(line: bytes, sizeBytes: bytes.count, fault: fault, correlationID: event.correlationID))
    }
}

private struct ParserBox: ~Copyable, @unchecked Sendable {
    let parser = JSONParser()
}

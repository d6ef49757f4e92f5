import Envelope
import JSON
import Stage
import System

/// Tells what becomes of an event.
enum Verdict: Sendable {
    /// It is forwarded unchanged, byte for byte, from where it was read.
    case forward
    case drop
    /// These lines, without their line feeds, take its place.
    case replace([[UInt8]])
    /// It becomes a dead letter.
    case refuse(MalformedInput)
}

/// Holds an event of which no more than the line has been checked.
struct ScannedEvent: Sendable {
    let line: Line
    let type: String
    let version: Int
}

/// Holds an event on its way through middlewares.
struct MiddlewareEvent: Sendable {
    let line: Line
    let envelope: Envelope
    /// Is true if the line had an id; otherwise the envelope's id was made here, and no other stage will see it.
    let hasID: Bool
}

/// Inspects every event between the input and an output. A middleware belongs to one thread, and may block it.
protocol Middleware: AnyObject {
    /// Appends one verdict for each event, in order.
    ///
    /// - Throws: `ToolError`, which ends the tool. The verdicts that were appended before are valid.
    func judge(_ events: [MiddlewareEvent], into verdicts: inout [Verdict]) throws(ToolError)
    /// Ends the middleware after its last event.
    func finish() throws(ToolError)
}

extension Middleware {
    func finish() {}
}

/// Inspects events by their lines. An event that passes only such middlewares is not parsed.
protocol LineMiddleware: Middleware {
    /// Appends one verdict for each event, in order, as `judge(_:into:)` does.
    func judge(lines: [ScannedEvent], into verdicts: inout [Verdict]) throws(ToolError)
}

extension LineMiddleware {
    func judge(_ events: [MiddlewareEvent], into verdicts: inout [Verdict]) throws(ToolError) {
        try judge(
            lines: events.map {
                ScannedEvent(line: $0.line, type: $0.envelope.type, version: $0.envelope.version)
            }, into: &verdicts)
    }
}

/// Runs lines through several middlewares, one after another.
final class MiddlewareChain {
    /// The result for a batch of lines.
    struct Outcome {
        /// The lines that are forwarded. Those that no middleware has changed are where they were read.
        var lines: [Line] = []
        /// For each of `lines`, the index of the input line that it was made from.
        var origins: [Int] = []
        /// The refused lines, each with the index of the input line that it was made from.
        var refused: [(line: RefusedLine, origin: Int)] = []
        /// Is true if a middleware did anything else than to forward an event.
        fileprivate var hasChanges = false
        /// The failure of a middleware, which ends the tool. The other members then hold what was decided before.
        var failure: ToolError?
    }

    private let middlewares: [any Middleware]
    private let parser = JSONParser()
    private var types = TypeTexts()

    init(_ middlewares: [any Middleware]) { self.middlewares = middlewares }

    /// - Parameter lines: are envelopes, or else refused.
    func run(_ lines: [Line]) -> Outcome { run(lines, nil) }

    /// Runs lines that have been scanned already.
    func run(_ events: [ScannedEvent]) -> Outcome { run(events.map(\.line), events) }

    private func run(_ lines: [Line], _ scanned: [ScannedEvent]?) -> Outcome {
        var outcome = Outcome(lines: lines, origins: Array(lines.indices))
        var scanned = scanned
        for middleware in middlewares where !outcome.lines.isEmpty {
            run(middleware, &outcome, scanned)
            // A line that was changed or left out may be any of them.
            if outcome.hasChanges { scanned = nil }
        }
        return outcome
    }

    /// - Parameter known: the events of all lines, if they have been scanned.
    private func run(_ middleware: any Middleware, _ outcome: inout Outcome, _ known: [ScannedEvent]?) {
        if let lean = middleware as? any LineMiddleware {
            let (events, origins) = known.map { ($0, outcome.origins) } ?? read(&outcome, scanned)
            apply(origins, events.map(\.line), &outcome) { verdicts throws(ToolError) in
                try lean.judge(lines: events, into: &verdicts)
            }
        } else {
            let (events, origins) = read(&outcome, event)
            apply(origins, events.map(\.line), &outcome) { verdicts throws(ToolError) in
                try middleware.judge(events, into: &verdicts)
            }
        }
    }

    private func apply(
        _ origins: [Int], _ lines: [Line], _ outcome: inout Outcome,
        _ judge: (inout [Verdict]) throws(ToolError) -> Void
    ) {
        outcome.lines.removeAll(keepingCapacity: true)
        outcome.origins.removeAll(keepingCapacity: true)
        var verdicts: [Verdict] = []
        verdicts.reserveCapacity(lines.count)
        do throws(ToolError) {
            try judge(&verdicts)
        } catch {
            outcome.failure = outcome.failure ?? MiddlewareChain.counting(lines.count - verdicts.count, error)
        }
        outcome.hasChanges = outcome.hasChanges || verdicts.count < lines.count
        for (index, verdict) in verdicts.enumerated() {
            let origin = origins[index]
            if case .forward = verdict {} else { outcome.hasChanges = true }
            switch verdict {
            case .forward: outcome.add(lines[index], origin)
            case .drop: continue
            case .replace(let others): for other in others { outcome.add(Line(other), origin) }
            case .refuse(let fault): outcome.refuse(lines[index], fault, parser, origin)
            }
        }
    }

    private static func counting(_ undecided: Int, _ error: ToolError) -> ToolError {
        guard undecided > 0 else { return error }
        return error.adding("; \(undecided) events were neither forwarded nor refused")
    }

    /// Reads the lines; those that are not envelopes are refused.
    private func read<Event>(
        _ outcome: inout Outcome, _ event: (Line) throws(MalformedInput) -> Event
    ) -> (events: [Event], origins: [Int]) {
        var events: [Event] = []
        var origins: [Int] = []
        events.reserveCapacity(outcome.lines.count)
        origins.reserveCapacity(outcome.lines.count)
        for (line, origin) in zip(outcome.lines, outcome.origins) {
            do throws(MalformedInput) {
                events.append(try event(line))
                origins.append(origin)
            } catch {
                let refused = RefusedLine(
                    line: line.bytes, sizeBytes: line.range.count, fault: error, correlationID: nil)
                outcome.refused.append((refused, origin))
                outcome.hasChanges = true
            }
        }
        return (events, origins)
    }

    private func scanned(_ line: Line) throws(MalformedInput) -> ScannedEvent {
        try line.withBytes { bytes throws(MalformedInput) in
            let scanned = parser.scan(bytes, padded: true)
            if let fault = scanned.fault { throw fault }
            return ScannedEvent(line: line, type: types.text(scanned.type), version: scanned.version)
        }
    }

    private func event(_ line: Line) throws(MalformedInput) -> MiddlewareEvent {
        let json = try line.withBytes { bytes throws(MalformedInput) in try parser.parse(bytes, padded: true) }
        return MiddlewareEvent(line: line, envelope: try Envelope(json), hasID: Envelope.hasID(json))
    }

    /// Ends every middleware, also after the failure of one.
    ///
    /// - Returns: the first failure.
    func finish() -> ToolError? {
        var failure: ToolError?
        for middleware in middlewares {
            do throws(ToolError) { try middleware.finish() } catch { failure = failure ?? error }
        }
        return failure
    }
}

extension MiddlewareChain.Outcome {
    fileprivate mutating func add(_ line: Line, _ origin: Int) {
        lines.append(line)
        origins.append(origin)
    }

    fileprivate mutating func refuse(_ line: Line, _ fault: MalformedInput, _ parser: JSONParser, _ origin: Int) {
        let correlation = line.withBytes { EventID(utf8: parser.scan($0, padded: true).correlationID) }
        let refused = RefusedLine(
            line: line.bytes, sizeBytes: line.range.count, fault: fault, correlationID: correlation)
        self.refused.append((refused, origin))
    }
}

/// Keeps the texts of some types, which the next events of these types share.
struct TypeTexts {
    private static let places = 16

    private var known: [String] = Array(repeating: "", count: places)

    mutating func text(_ type: UnsafeRawBufferPointer) -> String {
        let last = type.last ?? 0
        let place = (type.count &* 7 &+ Int(last)) & (TypeTexts.places - 1)
        let isSame = known[place].utf8.withContiguousStorageIfAvailable { own in
            own.count == type.count && type.elementsEqual(own)
        }
        if isSame != true { known[place] = String(decoding: type, as: UTF8.self) }
        return known[place]
    }
}

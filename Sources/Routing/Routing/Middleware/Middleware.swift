import Envelope
import JSON
import Stage
import System

/// Tells what becomes of an event.
enum Verdict: Sendable {
    /// It is forwarded unchanged, byte for byte.
    case forward
    case drop
    /// These lines, without their line feeds, take its place.
    case replace([[UInt8]])
    /// It becomes a dead letter.
    case refuse(MalformedInput)
}

/// Holds an event on its way through middlewares.
struct MiddlewareEvent: Sendable {
    /// The event's line, without the line feed.
    let line: [UInt8]
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

/// Runs lines through several middlewares, one after another.
final class MiddlewareChain {
    /// The result for a batch of lines.
    struct Outcome {
        /// The lines that are forwarded.
        var lines: [[UInt8]] = []
        /// For each of `lines`, the index of the input line that it was made from.
        var origins: [Int] = []
        /// The refused lines, each with the index of the input line that it was made from.
        var refused: [(line: RefusedLine, origin: Int)] = []
        /// The failure of a middleware, which ends the tool. The other members then hold what was decided before.
        var failure: ToolError?
    }

    private let middlewares: [any Middleware]
    private let parser = JSONParser()

    init(_ middlewares: [any Middleware]) { self.middlewares = middlewares }

    func run(_ lines: [[UInt8]]) -> Outcome {
        var outcome = Outcome(lines: lines, origins: Array(lines.indices))
        for middleware in middlewares where !outcome.lines.isEmpty { run(middleware, &outcome) }
        return outcome
    }

    private func run(_ middleware: any Middleware, _ outcome: inout Outcome) {
        let (events, origins) = parsed(&outcome)
        (outcome.lines, outcome.origins) = ([], [])
        var verdicts: [Verdict] = []
        verdicts.reserveCapacity(events.count)
        do throws(ToolError) {
            try middleware.judge(events, into: &verdicts)
        } catch {
            outcome.failure = outcome.failure ?? MiddlewareChain.counting(events.count - verdicts.count, error)
        }
        for (index, verdict) in verdicts.enumerated() {
            let (event, origin) = (events[index], origins[index])
            switch verdict {
            case .forward: outcome.add([event.line], origin)
            case .drop: continue
            case .replace(let others): outcome.add(others, origin)
            case .refuse(let fault):
                let refused = RefusedLine(
                    line: event.line, sizeBytes: event.line.count, fault: fault,
                    correlationID: event.envelope.correlationID)
                outcome.refused.append((refused, origin))
            }
        }
    }

    private static func counting(_ undecided: Int, _ error: ToolError) -> ToolError {
        guard undecided > 0 else { return error }
        return error.adding("; \(undecided) events were neither forwarded nor refused")
    }

    /// Parses the lines; those that are not envelopes are refused.
    private func parsed(_ outcome: inout Outcome) -> (events: [MiddlewareEvent], origins: [Int]) {
        var events: [MiddlewareEvent] = []
        var origins: [Int] = []
        events.reserveCapacity(outcome.lines.count)
        origins.reserveCapacity(outcome.lines.count)
        for (line, origin) in zip(outcome.lines, outcome.origins) {
            do throws(MalformedInput) {
                events.append(try event(line))
                origins.append(origin)
            } catch {
                let refused = RefusedLine(line: line, sizeBytes: line.count, fault: error, correlationID: nil)
                outcome.refused.append((refused, origin))
            }
        }
        return (events, origins)
    }

    private func event(_ line: [UInt8]) throws(MalformedInput) -> MiddlewareEvent {
        let json = line.withUnsafeBytes { bytes in
            Result { () throws(MalformedInput) in try parser.parse(bytes) }
        }
        let object = try json.get()
        return MiddlewareEvent(line: line, envelope: try Envelope(object), hasID: Envelope.hasID(object))
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
    fileprivate mutating func add(_ lines: [[UInt8]], _ origin: Int) {
        self.lines += lines
        origins += lines.map { _ in origin }
    }
}

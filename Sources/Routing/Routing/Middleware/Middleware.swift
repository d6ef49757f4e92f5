import Envelope
import JSON
import Stage
import System

/// What a middleware says of an event.
enum Verdict: Sendable {
    /// It goes on as it came, to the byte.
    case pass
    case drop
    /// These lines, without their line feeds, take its place.
    case replace([[UInt8]])
    /// To the dead letters.
    case refuse(MalformedInput)
}

/// An event on its way through middlewares.
struct PassingEvent: Sendable {
    /// Its line, without the line feed.
    let line: [UInt8]
    let envelope: Envelope
    /// Whether the line had an id; otherwise the envelope's is one that nobody else will see.
    let hasID: Bool
}

/// Something between the input and an output that looks at every event. Each belongs to one thread, and may block it.
protocol Middleware: AnyObject {
    /// One verdict an event, in order.
    ///
    /// - Throws: `ToolError`: the tool ends with it.
    func judge(_ events: [PassingEvent]) throws(ToolError) -> [Verdict]
    /// Nothing more will come.
    func finish() throws(ToolError)
}

extension Middleware {
    func finish() {}
}

/// Middlewares one behind the other.
final class MiddlewareChain {
    private let middlewares: [any Middleware]
    private let parser = JSONParser()

    init(_ middlewares: [any Middleware]) { self.middlewares = middlewares }

    /// Lines go in, those that come out are to go on; `refuse` is told of the others that are not just dropped.
    func run(_ lines: [[UInt8]], refuse: (RefusedLine) -> Void) throws(ToolError) -> [[UInt8]] {
        var lines = lines
        for middleware in middlewares where !lines.isEmpty {
            let events = parsed(lines, refuse)
            let verdicts = try middleware.judge(events)
            lines = []
            for (event, verdict) in zip(events, verdicts) {
                switch verdict {
                case .pass: lines.append(event.line)
                case .drop: continue
                case .replace(let others): lines += others
                case .refuse(let fault):
                    refuse(
                        RefusedLine(
                            line: event.line, sizeBytes: event.line.count, fault: fault,
                            correlationID: event.envelope.correlationID))
                }
            }
        }
        return lines
    }

    private func parsed(_ lines: [[UInt8]], _ refuse: (RefusedLine) -> Void) -> [PassingEvent] {
        var events: [PassingEvent] = []
        events.reserveCapacity(lines.count)
        for line in lines {
            do throws(MalformedInput) {
                events.append(try event(line))
            } catch {
                refuse(RefusedLine(line: line, sizeBytes: line.count, fault: error, correlationID: nil))
            }
        }
        return events
    }

    private func event(_ line: [UInt8]) throws(MalformedInput) -> PassingEvent {
        let json = line.withUnsafeBytes { bytes in
            Result { () throws(MalformedInput) in try parser.parse(bytes) }
        }
        let object = try json.get()
        return PassingEvent(line: line, envelope: try Envelope(object), hasID: object["id"] != nil)
    }

    func finish() throws(ToolError) { for middleware in middlewares { try middleware.finish() } }
}

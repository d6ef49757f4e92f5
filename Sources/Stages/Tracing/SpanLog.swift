package import Envelope
import Glibc
import JSON
import Synchronization
import System

/// Tells what a span's work does with its event. Source: OpenTelemetry's conventions for messaging.
package enum SpanOperation: String, Sendable {
    /// Makes the first event of a request.
    case create
    /// Puts an event into a queue.
    case send
    /// Takes an event from a queue.
    case receive
    /// Works on an event.
    case process
    /// Acknowledges an event of a queue, or returns it.
    case settle
}

/// Holds what is known of a span while its work goes on.
package struct SpanStart: Sendable {
    package let context: TraceContext
    /// The span that made the event; nil for the first one of a trace.
    package let parent: UInt64?
    package let operation: SpanOperation
    /// Microseconds since 1970.
    package let time: Int64

    package init(context: TraceContext, parent: UInt64?, operation: SpanOperation, time: Int64) {
        (self.context, self.parent, self.operation, self.time) = (context, parent, operation, time)
    }
}

/// Holds what is known of an event that a span is about.
package struct SpanEvent: Sendable {
    package let correlationID: EventID
    package let id: EventID?
    package let causationID: EventID?
    package let type: String

    package init(correlationID: EventID, id: EventID?, causationID: EventID?, type: String) {
        (self.correlationID, self.id, self.causationID, self.type) = (correlationID, id, causationID, type)
    }
}

/// Holds what is known of a span at its end.
package struct SpanEnd: Sendable {
    package var outcome: HandlingOutcome
    package var duration: Duration
    package var attempt = 1
    package var error: String?
    /// The queue, for operations on one.
    package var queue: String?

    package init(_ outcome: HandlingOutcome, after duration: Duration) {
        (self.outcome, self.duration) = (outcome, duration)
    }
}

/// Writes a line for each span of this process to its `LogFile`.
package final class SpanLog: Sendable {
    private let file: LogFile
    private let head: [UInt8]
    private let firstID = UInt64.random(in: 0...(.max))
    private let count = Atomic<UInt64>(0)
    private let types = Mutex(TypeTexts())

    package init(_ file: LogFile, tool: String) {
        self.file = file
        var head = Array(#"","tool":"#.utf8)
        JSON.string(tool).write(to: &head)
        head += ",\"pid\":\(getpid()),\"span_id\":\"".utf8
        self.head = head
    }

    /// Returns an id that no other span has: they follow a random number of 64 bits.
    private func nextID() -> UInt64 {
        let id = firstID &+ count.wrappingAdd(1, ordering: .relaxed).newValue
        return id == 0 ? nextID() : id
    }

    /// Begins a span of the work on an event. It belongs to the trace of the event's `meta.traceparent`, or else to the one that
    /// has the id of its request.
    package func begin(_ event: Envelope, _ operation: SpanOperation) -> SpanStart {
        let outer = event.meta[TraceContext.key]?.string.flatMap { TraceContext($0) }
        return begin(within: outer, correlationID: event.correlationID, operation)
    }

    package func begin(
        within outer: TraceContext?, correlationID: EventID, _ operation: SpanOperation,
        at time: Int64 = SystemClocks.realtimeNanoseconds / 1000
    ) -> SpanStart {
        SpanStart(
            context: TraceContext(
                trace: outer?.trace ?? correlationID, span: nextID(), isSampled: outer?.isSampled ?? true),
            parent: outer?.span, operation: operation, time: time)
    }

    /// Writes the line of a span.
    package func end(_ span: SpanStart, of event: SpanEvent, _ end: SpanEnd) {
        let type = types.withLock { $0.text(of: event.type) }
        let error = end.error.map { KnownSecrets.removed(from: $0).printable(atMost: 500) }
        file.add { [head] buffer, time in
            buffer.append(literal: #"{"time":""#)
            time.write(span.time, to: &buffer)
            buffer += head
            SpanLog.write(span.context.span, to: &buffer)
            if let parent = span.parent {
                buffer.append(literal: #"","parent_id":""#)
                SpanLog.write(parent, to: &buffer)
            }
            if span.context.trace != event.correlationID {
                buffer.append(literal: #"","trace_id":""#)
                SpanLog.write(span.context.trace.high, to: &buffer)
                SpanLog.write(span.context.trace.low, to: &buffer)
            }
            buffer.append(literal: #"","correlation_id":""#)
            event.correlationID.write(to: &buffer)
            if let id = event.id {
                buffer.append(literal: #"","event_id":""#)
                id.write(to: &buffer)
            }
            if let cause = event.causationID {
                buffer.append(literal: #"","causation_id":""#)
                cause.write(to: &buffer)
            }
            buffer.append(literal: #"","event_type":"#)
            buffer += type
            buffer.append(literal: #","operation":""#)
            buffer += span.operation.rawValue.utf8
            buffer.append(literal: #"","duration_ns":"#)
            SpanLog.write(decimal: end.duration, to: &buffer)
            buffer.append(literal: #","outcome":""#)
            buffer += end.outcome.rawValue.utf8
            buffer.append(literal: "\"")
            if end.attempt > 1 { buffer += ",\"attempt\":\(end.attempt)".utf8 }
            if !span.context.isSampled { buffer.append(literal: #","sampled":false"#) }
            if let queue = end.queue {
                buffer.append(literal: #","queue":"#)
                JSON.string(queue).write(to: &buffer)
            }
            if let error {
                buffer.append(literal: #","error":"#)
                JSON.string(error).write(to: &buffer)
            }
            buffer.append(literal: "}\n")
        }
    }

    private static func write(decimal duration: Duration, to buffer: inout [UInt8]) {
        let (seconds, attoseconds) = duration.components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let nanoseconds = overflow ? Int64.max : max(0, product + attoseconds / 1_000_000_000)
        buffer += String(nanoseconds).utf8
    }

    private static func write(_ id: UInt64, to buffer: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { digits in
            for place in 0..<16 { digits[place] = hexDigits[Int(id >> UInt64(60 - 4 * place) & 15)] }
            buffer.append(contentsOf: digits)
        }
    }

    /// Returns the 16 digits of a span's id.
    package static func text(_ id: UInt64) -> String {
        var digits: [UInt8] = []
        write(id, to: &digits)
        return String(decoding: digits, as: UTF8.self)
    }
}

/// Keeps the types of events as JSON without secrets, which takes longer than a span itself.
private struct TypeTexts {
    private var texts: [String: [UInt8]] = [:]
    private var generation = 0
    private static let most = 1000

    mutating func text(of type: String) -> [UInt8] {
        let current = KnownSecrets.generation
        if current != generation || texts.count >= TypeTexts.most { (texts, generation) = ([:], current) }
        if let known = texts[type] { return known }
        let text = JSON.string(KnownSecrets.removed(from: type)).bytes
        texts[type] = text
        return text
    }
}

/// Finds the span of an event that is in work, for code that runs outside its handling.
enum SpansInWork {
    private static let spans = Mutex<[EventID: TraceContext]>([:])
    private static let count = Atomic(0)

    static func add(_ span: TraceContext, of event: EventID) {
        count.store(
            spans.withLock { spans in
                spans[event] = span
                return spans.count
            }, ordering: .relaxed)
    }

    static func remove(_ span: TraceContext, of event: EventID) {
        count.store(
            spans.withLock { spans in
                // The same event may have been begun again.
                if spans[event] == span { spans[event] = nil }
                return spans.count
            }, ordering: .relaxed)
    }

    static func span(of event: EventID) -> TraceContext? {
        guard count.load(ordering: .relaxed) > 0 else { return nil }
        return spans.withLock { $0[event] }
    }
}

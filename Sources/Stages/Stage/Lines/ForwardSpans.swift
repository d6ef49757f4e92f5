import Envelope
package import JSON
import System
import Tracing

/// Holds the fields of an event that its span names.
struct TracedEvent: Sendable {
    let event: SpanEvent
    /// The span that made the event.
    let origin: TraceContext?
}

/// Finds what spans need in the lines of events.
struct SpanEventFinder: ~Copyable, @unchecked Sendable {
    private let finder = FieldFinder([["id"], ["causation_id"], ["meta.\(TraceContext.key)"]])

    func find(_ line: ArraySlice<UInt8>) -> TracedEvent? { Line(Array(line)).withBytes { find(padded: $0) } }

    /// - Parameter line: `JSONParser.paddingBytes` more bytes must be readable after it.
    func find(padded line: UnsafeRawBufferPointer) -> TracedEvent? {
        let scanned = finder.find(in: line)
        guard scanned.isEnvelope, let correlation = EventID(utf8: scanned.correlationID) else { return nil }
        func id(_ place: Int) -> EventID? { finder[place].quoted.flatMap { EventID(utf8: $0) } }
        let event = SpanEvent(
            correlationID: correlation, id: id(0), causationID: id(1),
            type: String(decoding: scanned.type, as: UTF8.self))
        return TracedEvent(event: event, origin: finder[2].string.flatMap { TraceContext($0) })
    }
}

/// Writes spans for a stage that forwards lines without reading them. Only one thread may use it.
///
/// Under a load of more than 1,000 events a second, the further ones have no span: finding what a span needs takes longer than
/// forwarding a line.
package final class ForwardSpans {
    private static let mostPerSecond = 1000

    private let spans: SpanLog
    private let finder = SpanEventFinder()
    private var second = Int64.min
    private var left = 0

    /// - Returns: nil while nothing is traced.
    package init?(_ runtime: Runtime) {
        guard let spans = runtime.tracer.spans else { return nil }
        self.spans = spans
    }

    /// The beginning of the work on a block.
    package struct Beginning {
        fileprivate let microseconds = SystemClocks.realtimeNanoseconds / 1000
        fileprivate let instant = ContinuousClock.now

        package init() {}
    }

    /// Notes the lines of a block that were forwarded.
    package func forwarded(_ block: LineBlock, since start: Beginning) {
        if start.microseconds / 1_000_000 != second {
            (second, left) = (start.microseconds / 1_000_000, ForwardSpans.mostPerSecond)
        }
        guard left > 0 else { return }
        let duration = ContinuousClock.now - start.instant
        for range in block.ranges.prefix(left) {
            left -= 1
            let line = UnsafeRawBufferPointer(start: block.base + range.lowerBound, count: range.count)
            guard let found = finder.find(padded: line) else { continue }
            let span = spans.begin(
                within: found.origin, correlationID: found.event.correlationID, .process, at: start.microseconds)
            spans.end(span, of: found.event, SpanEnd(.done, after: duration))
        }
    }
}

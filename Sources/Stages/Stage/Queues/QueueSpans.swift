import Envelope
import JSON
import Queue
import Synchronization
import System
import Tracing

/// Writes the spans of a queue: one for each event that is put into it, taken from it, and acknowledged or returned.
///
/// They belong to the span that made the event, so that a viewer shows the wait in the queue as the gap between them.
final class QueueSpans: Sendable {
    private let spans: SpanLog
    private let finder = Mutex(SpanEventFinder())
    /// The events that were taken and not settled yet, by the ids of their entries.
    private let taken = Mutex<[String: TracedEvent]>([:])

    init?(_ spans: SpanLog?) {
        guard let spans else { return nil }
        self.spans = spans
    }

    /// Notes lines that were put into queues.
    ///
    /// - Parameter names: the queues, in the order of `QueueLine.output`.
    func sent(_ lines: [QueueLine], to names: [QueueName], since start: Timing, _ error: (any Error)? = nil) {
        for line in lines where names.indices.contains(line.output) {
            guard let found = finder.withLock({ $0.find(line.bytes) }) else { continue }
            write(.send, found, names[line.output], start, parent: found.origin, .done, error)
        }
    }

    /// Notes entries that were taken from a queue.
    func received(_ entries: [TakenEntry], from queue: QueueName, since start: Timing) {
        for entry in entries {
            guard let found = finder.withLock({ $0.find(entry.line[...]) }) else { continue }
            taken.withLock { $0[entry.entry.id] = found }
            write(.receive, found, queue, start, parent: found.origin, .done, nil, attempt: entry.entry.attempt)
        }
    }

    /// Notes entries that were acknowledged, returned, or moved to the dead letters.
    func settled(
        _ entries: [QueueEntry], of queue: QueueName, since start: Timing, _ outcome: HandlingOutcome = .done,
        reason: String? = nil
    ) {
        for entry in entries {
            guard let found = taken.withLock({ $0.removeValue(forKey: entry.id) }) else { continue }
            let work = found.event.id.flatMap { Tracer.span(ofEventInWork: $0) }
            write(
                .settle, found, queue, start, parent: work ?? found.origin, outcome, nil, attempt: entry.attempt,
                reason: reason)
        }
    }

    private func write(
        _ operation: SpanOperation, _ found: TracedEvent, _ queue: QueueName, _ start: Timing, parent: TraceContext?,
        _ outcome: HandlingOutcome, _ error: (any Error)?, attempt: Int = 1, reason: String? = nil
    ) {
        let span = spans.begin(
            within: parent, correlationID: found.event.correlationID, operation, at: start.microseconds)
        var end = SpanEnd(error == nil ? outcome : .failed, after: .now - start.instant)
        (end.attempt, end.queue) = (attempt, queue.text)
        end.error = reason ?? error.map { ($0 as? any ReportableError)?.message ?? "\($0)" }
        spans.end(span, of: found.event, end)
    }

    /// The beginning of a call, by both clocks.
    struct Timing: Sendable {
        let microseconds = SystemClocks.realtimeNanoseconds / 1000
        let instant = ContinuousClock.now
    }

    /// Runs a call that acknowledges entries and publishes their results, and notes both.
    func settling<Value>(
        _ results: [QueueResult], of queue: QueueName, to outputs: QueueOutputs, _ body: () async throws -> Value
    ) async rethrows -> Value {
        let start = Timing()
        let value = try await body()
        sent(results.flatMap(\.lines), to: outputs.queues, since: start)
        settled(results.map(\.entry), of: queue, since: start)
        return value
    }
}

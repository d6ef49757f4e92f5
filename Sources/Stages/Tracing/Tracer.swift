package import Envelope
import JSON
import System

/// Sets the correlation while events are handled, counts the events, and measures the time that they take.
///
/// All observation goes through this type: no other code sets `Correlation.current`.
package final class Tracer: Sendable {
    /// Counts and durations by event type, since the start of the tool.
    package let statistics = HandlingStatistics()
    /// Receives a span for each handling; nil while nothing is traced.
    package let spans: SpanLog?
    private let observers: [any HandlingObserver]

    /// - Parameter observers: are told of the beginning and end of each handling, after `statistics`.
    package init(observers: [any HandlingObserver] = [], spans: SpanLog? = nil) {
        (self.observers, self.spans) = (observers, spans)
    }

    /// Is true if each event is followed on its own. Otherwise, a batch of events may be counted in `statistics` at once.
    package var followsEachEvent: Bool { spans != nil || !observers.isEmpty }

    /// Runs the work on one event within its correlation, counts it and measures it.
    ///
    /// - Parameter cause: the correlation of events that the work derives; by default that of the event.
    package func handling<Result>(
        _ event: Envelope, causedBy cause: Correlation? = nil, _ body: () throws -> Result
    ) rethrows -> Result {
        let handling = begin(event, causedBy: cause)
        do {
            let result = try handling.step(body)
            handling.end(.done)
            return result
        } catch {
            handling.end(HandlingOutcome(error), error: error)
            throw error
        }
    }

    /// Runs the asynchronous work on one event within its correlation, counts it and measures it.
    ///
    /// - Parameter cause: the correlation of events that the work derives; by default that of the event.
    package func handling<Result>(
        _ event: Envelope, causedBy cause: Correlation? = nil, isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws -> Result
    ) async rethrows -> Result {
        let handling = begin(event, causedBy: cause)
        do {
            let result = try await handling.step(body)
            handling.end(.done)
            return result
        } catch {
            handling.end(HandlingOutcome(error), error: error)
            throw error
        }
    }

    /// Begins the making of the first event of a request. The caller ends it.
    ///
    /// - Returns: also the event, which names the span of this work in `meta.traceparent`.
    package func beginCreating(_ event: Envelope) -> (handling: Handling, event: Envelope) {
        let handling = begin(event, .create)
        var event = event
        if let span = handling.correlation.trace { event.meta[TraceContext.key] = .string(span.traceparent) }
        return (handling, event)
    }

    /// Begins the handling of an event that is worked on in several steps. The caller ends it.
    ///
    /// - Parameters:
    ///   - time: the beginning, where the caller has read the clock already.
    ///   - attempt: the number of times that the event has been taken from its queue.
    package func begin(
        _ event: Envelope, _ operation: SpanOperation = .process, causedBy cause: Correlation? = nil,
        at time: ContinuousClock.Instant = .now, attempt: Int = 1
    ) -> Handling {
        let span = spans?.begin(event, operation)
        var correlation = cause ?? Correlation(event, trace: span?.context)
        if let span {
            if cause != nil { correlation = correlation.within(span.context) }
            SpansInWork.add(span.context, of: event.id)
        }
        let handling = Handling(
            event: event, correlation: correlation, start: time, tracer: self, span: span, attempt: attempt)
        statistics.began(handling)
        for observer in observers { observer.began(handling) }
        return handling
    }

    fileprivate func end(
        _ handling: Handling, _ outcome: HandlingOutcome, at time: ContinuousClock.Instant, _ error: String?
    ) {
        let duration = time - handling.start
        if let span = handling.span, let spans {
            SpansInWork.remove(span.context, of: handling.spanEvent.id ?? handling.spanEvent.correlationID)
            var end = SpanEnd(outcome, after: duration)
            (end.attempt, end.error) = (handling.attempt, error)
            spans.end(span, of: handling.spanEvent, end)
        }
        statistics.ended(handling, outcome, after: duration)
        for observer in observers { observer.ended(handling, outcome, after: duration) }
    }

    /// Returns the span of the work on an event that has begun and not ended.
    package static func span(ofEventInWork id: EventID) -> TraceContext? { SpansInWork.span(of: id) }

    /// Runs one part of the work on an event within its correlation; the event is counted where its handling begins and ends.
    package static func correlating<Result>(with event: Envelope, _ body: () throws -> Result) rethrows -> Result {
        try Correlation.withCurrent(Correlation(event, trace: SpansInWork.span(of: event.id)), operation: body)
    }

    /// Runs one part of the work on an event within its correlation, for an event that is not followed.
    package static func correlating<Result>(with cause: Correlation, _ body: () throws -> Result) rethrows -> Result {
        try Correlation.withCurrent(cause, operation: body)
    }

    /// Runs one asynchronous part of the work on an event within its correlation.
    package static func correlating<Result>(
        with event: Envelope, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async rethrows -> Result {
        try await Correlation.withCurrent(
            Correlation(event, trace: SpansInWork.span(of: event.id)), operation: body)
    }
}

/// Represents the work on one event, from its beginning to its outcome.
package struct Handling: Sendable {
    package var eventType: String { spanEvent.type }
    package let correlation: Correlation
    package let start: ContinuousClock.Instant
    private let tracer: Tracer
    /// The span of the work; nil while nothing is traced.
    package let span: SpanStart?
    fileprivate let spanEvent: SpanEvent
    fileprivate let attempt: Int

    fileprivate init(
        event: Envelope, correlation: Correlation, start: ContinuousClock.Instant, tracer: Tracer, span: SpanStart?,
        attempt: Int
    ) {
        spanEvent = SpanEvent(
            correlationID: event.correlationID, id: event.id, causationID: event.causationID, type: event.type)
        (self.correlation, self.start, self.tracer) = (correlation, start, tracer)
        (self.span, self.attempt) = (span, attempt)
    }

    /// Runs one step of the work within the event's correlation.
    package func step<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Correlation.withCurrent(correlation, operation: body)
    }

    /// Runs one asynchronous step of the work within the event's correlation.
    package func step<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async rethrows -> Result {
        try await Correlation.withCurrent(correlation, operation: body)
    }

    /// Ends the handling; to be called once.
    ///
    /// - Parameter error: the reason of a failure.
    package func end(
        _ outcome: HandlingOutcome, at time: ContinuousClock.Instant = .now, error: (any Error)? = nil
    ) {
        end(outcome, at: time, reason: span == nil ? nil : error.map(Handling.text))
    }

    /// Ends the handling with the reason of a failure in words.
    package func end(
        _ outcome: HandlingOutcome, at time: ContinuousClock.Instant = .now, reason: String?
    ) {
        tracer.end(self, outcome, at: time, reason)
    }

    private static func text(_ error: any Error) -> String {
        (error as? any ReportableError)?.message ?? (error as? MalformedInput)?.reason ?? "\(error)"
    }
}

/// The outcome of the work on one event.
package enum HandlingOutcome: String, Sendable, CaseIterable {
    case done
    /// The event waits for something and is handled again later.
    case held
    /// The event cannot be handled and goes to the dead letters.
    case refused
    case failed
    /// The tool ended first.
    case cancelled

    package init(_ error: any Error) {
        switch error {
        case is MalformedInput: self = .refused
        case is CancellationError: self = .cancelled
        default: self = .failed
        }
    }
}

/// Receives the beginning and the end of the work on each event, for example to export spans.
///
/// Both methods are called on the handler's own task: they return quickly.
package protocol HandlingObserver: Sendable {
    func began(_ handling: Handling)
    func ended(_ handling: Handling, _ outcome: HandlingOutcome, after duration: Duration)
}

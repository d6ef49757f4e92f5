package import Envelope
import JSON

/// Sets the correlation while events are handled, counts the events, and measures the time that they take.
///
/// All observation goes through this type: no other code sets `Correlation.current`, and an exporter of spans can be
/// added as a `HandlingObserver`.
package final class Tracer: Sendable {
    /// Counts and durations by event type, since the start of the tool.
    package let statistics = HandlingStatistics()
    private let observers: [any HandlingObserver]

    /// - Parameter observers: are told of the beginning and end of each handling, after `statistics`.
    package init(observers: [any HandlingObserver] = []) { self.observers = observers }

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
            handling.end(HandlingOutcome(error))
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
            handling.end(HandlingOutcome(error))
            throw error
        }
    }

    /// Begins the handling of an event that is worked on in several steps. The caller ends it.
    ///
    /// - Parameter time: the beginning, where the caller has read the clock already.
    package func begin(
        _ event: Envelope, causedBy cause: Correlation? = nil, at time: ContinuousClock.Instant = .now
    ) -> Handling {
        let handling = Handling(
            eventType: event.type, correlation: cause ?? Correlation(event), start: time, tracer: self)
        statistics.began(handling)
        for observer in observers { observer.began(handling) }
        return handling
    }

    fileprivate func end(_ handling: Handling, _ outcome: HandlingOutcome, at time: ContinuousClock.Instant) {
        let duration = time - handling.start
        statistics.ended(handling, outcome, after: duration)
        for observer in observers { observer.ended(handling, outcome, after: duration) }
    }

    /// Runs one part of the work on an event within its correlation; the event is counted where its handling begins and ends.
    package static func correlating<Result>(with event: Envelope, _ body: () throws -> Result) rethrows -> Result {
        try Correlation.withCurrent(Correlation(event), operation: body)
    }

    /// Runs one asynchronous part of the work on an event within its correlation.
    package static func correlating<Result>(
        with event: Envelope, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async rethrows -> Result {
        try await Correlation.withCurrent(Correlation(event), operation: body)
    }
}

/// Represents the work on one event, from its beginning to its outcome.
package struct Handling: Sendable {
    package let eventType: String
    package let correlation: Correlation
    package let start: ContinuousClock.Instant
    private let tracer: Tracer

    fileprivate init(
        eventType: String, correlation: Correlation, start: ContinuousClock.Instant, tracer: Tracer
    ) {
        self.eventType = eventType
        self.correlation = correlation
        self.start = start
        self.tracer = tracer
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
    package func end(_ outcome: HandlingOutcome, at time: ContinuousClock.Instant = .now) {
        tracer.end(self, outcome, at: time)
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

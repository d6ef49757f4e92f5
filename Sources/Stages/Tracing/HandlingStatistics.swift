import Synchronization

/// Counts handled events and adds up their durations, by event type.
package final class HandlingStatistics: HandlingObserver {
    /// Holds the counts and durations of one event type.
    package struct Figures: Sendable, Equatable {
        package private(set) var counts: [HandlingOutcome: Int] = [:]
        /// The sum of all durations.
        package private(set) var total = Duration.zero
        package private(set) var longest = Duration.zero

        /// The number of handlings, whatever their outcome.
        package var count: Int { counts.values.reduce(0, +) }

        fileprivate mutating func add(_ outcome: HandlingOutcome, _ duration: Duration, times: Int) {
            counts[outcome, default: 0] += times
            total += duration * times
            longest = max(longest, duration)
        }
    }

    /// The number of event types that are kept apart; events of further types are counted together.
    private static let maxTypes = 200
    package static let otherTypes = "(other)"

    private struct State {
        var figures: [String: Figures] = [:]
        /// The durations of all types together.
        var latency = LatencyHistogram()
        var begun = 0
        var ended = 0
        var failures = 0

        mutating func add(_ type: String, _ outcome: HandlingOutcome, _ duration: Duration, times: Int) {
            let isKept = figures.count < HandlingStatistics.maxTypes || figures[type] != nil
            figures[isKept ? type : HandlingStatistics.otherTypes, default: Figures()]
                .add(outcome, duration, times: times)
            latency.add(duration, times: times)
            ended += times
            if outcome == .failed { failures += times }
        }
    }

    private let state = Mutex(State())

    package init() {}

    /// The figures by event type.
    package var all: [String: Figures] { state.withLock { $0.figures } }

    /// The durations of all handlings so far.
    package var latency: LatencyHistogram { state.withLock { $0.latency } }

    /// The number of handlings that have begun and not ended.
    package var inFlight: Int { state.withLock { max(0, $0.begun - $0.ended) } }

    /// The number of handlings that have failed. Refused events are counted where they are refused.
    package var failures: Int { state.withLock { $0.failures } }

    /// Adds the duration that each of some events took which are handled together and counted elsewhere.
    package func forwarded(_ events: Int, in duration: Duration) {
        state.withLock { $0.latency.add(duration, times: events) }
    }

    package func began(_ handling: Handling) { began(1) }

    /// Notes that events are handled from now on.
    package func began(_ count: Int) { state.withLock { $0.begun += count } }

    package func ended(_ handling: Handling, _ outcome: HandlingOutcome, after duration: Duration) {
        ended([(handling.eventType, outcome, 1)], after: duration)
    }

    /// Counts events whose handling has ended, each after the same time.
    ///
    /// - Parameter handlings: how many events of a type ended with an outcome.
    package func ended(_ handlings: [(type: String, outcome: HandlingOutcome, count: Int)], after duration: Duration) {
        state.withLock { state in
            for (type, outcome, count) in handlings { state.add(type, outcome, duration, times: count) }
        }
    }
}

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

        fileprivate mutating func add(_ outcome: HandlingOutcome, _ duration: Duration) {
            counts[outcome, default: 0] += 1
            total += duration
            longest = max(longest, duration)
        }
    }

    /// The number of event types that are kept apart; events of further types are counted together.
    private static let maxTypes = 200
    package static let otherTypes = "(other)"

    private let figures = Mutex<[String: Figures]>([:])

    package init() {}

    /// The figures by event type.
    package var all: [String: Figures] { figures.withLock { $0 } }

    package func began(_ handling: Handling) {}

    package func ended(_ handling: Handling, _ outcome: HandlingOutcome, after duration: Duration) {
        figures.withLock { figures in
            let isKept = figures.count < Self.maxTypes || figures[handling.eventType] != nil
            figures[isKept ? handling.eventType : Self.otherTypes, default: Figures()].add(outcome, duration)
        }
    }
}

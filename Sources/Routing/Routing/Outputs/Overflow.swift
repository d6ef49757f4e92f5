import System
import Logging

/// What becomes of events that an output does not take at once.
package enum Overflow: String, Sendable, CaseIterable {
    /// Beyond what memory takes, the input waits.
    case block
    /// Beyond what memory takes, they are dropped, and counted.
    case drop
    /// They wait on disk.
    case spool
}

/// Counts dropped events of one output, and tells of them now and then.
final class DropCount: Sendable {
    private struct State {
        var events = 0
        var told = 0
        var toldAt: ContinuousClock.Instant?
    }

    private static let pause = Duration.seconds(10)

    private let name: String
    private let log: Logger
    private let state = Monitor(State())

    init(name: String, log: Logger) { (self.name, self.log) = (name, log) }

    func add(_ events: Int) {
        guard events > 0 else { return }
        let due = state.read { state -> Int? in
            state.events += events
            guard state.toldAt.map({ .now - $0 >= DropCount.pause }) ?? true else { return nil }
            (state.told, state.toldAt) = (state.events, .now)
            return state.events
        }
        if let due { tell(due) }
    }

    /// Tells how many there were, if that is not known yet.
    func finish() {
        let (events, told) = state.read { ($0.events, $0.told) }
        if events > told { tell(events) }
    }

    private func tell(_ events: Int) {
        log.warning(
            "dropped \(events) events for \(name): it is too slow", metadata: ["to": "\(name)", "dropped": "\(events)"])
    }
}

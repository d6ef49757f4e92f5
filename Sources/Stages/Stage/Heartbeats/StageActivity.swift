import Synchronization
import Tracing

/// Counts what a stage does, for its heartbeat. Counting is one addition a batch, so that no stage is slower for it.
package final class StageActivity: Sendable {
    /// The numbers of events since the start of the stage.
    package struct Counts: Sendable, Equatable {
        package var taken = 0
        package var written = 0
        package var failed = 0
        package var dropped = 0
    }

    /// The most endpoints, and the most waits, that a heartbeat names.
    private static let most = 50

    private struct Places {
        var from: [StageEndpoint] = []
        var to: [StageEndpoint] = []
        var waits: [String: ContinuousClock.Instant] = [:]
    }

    private let taken = Atomic(0)
    private let written = Atomic(0)
    private let failed = Atomic(0)
    private let dropped = Atomic(0)
    private let places = Mutex(Places())

    package init() {}

    /// Counts events that the stage has read.
    package func countTaken(_ events: Int) { taken.add(events, ordering: .relaxed) }

    /// Counts events that an output has accepted.
    package func countWritten(_ events: Int) { written.add(events, ordering: .relaxed) }

    /// Counts lines that the stage has refused.
    package func countFailed(_ events: Int) { failed.add(events, ordering: .relaxed) }

    /// Counts events that the stage has left out.
    package func countDropped(_ events: Int) { dropped.add(events, ordering: .relaxed) }

    /// Notes an input of the stage, as it was written in its arguments.
    package func reads(_ endpoint: String) {
        let endpoint = StageEndpoint(endpoint, isInput: true)
        places.withLock { StageActivity.add(endpoint, to: &$0.from) }
    }

    /// Notes an output of the stage, as it was written in its arguments.
    ///
    /// - Parameter types: the patterns of the types that go there; empty for all.
    package func writes(_ endpoint: String, types: [String] = []) {
        let endpoint = StageEndpoint(endpoint, isInput: false, types: types)
        places.withLock { StageActivity.add(endpoint, to: &$0.to) }
    }

    private static func add(_ endpoint: StageEndpoint, to list: inout [StageEndpoint]) {
        if let index = list.firstIndex(where: { $0.isSamePlace(as: endpoint) }) {
            for type in endpoint.types where !list[index].types.contains(type) { list[index].types.append(type) }
        } else if list.count < most {
            list.append(endpoint)
        }
    }

    /// Notes a wait that a service imposes, such as a flood wait.
    ///
    /// - Parameter name: tells for people what waits.
    package func waits(_ name: String, for span: Duration) {
        places.withLock { places in
            if places.waits.count >= StageActivity.most { places.waits = places.waits.filter { $0.value > .now } }
            guard places.waits.count < StageActivity.most || places.waits[name] != nil else { return }
            let until = ContinuousClock.now + min(span, .seconds(31_536_000))
            places.waits[name] = max(places.waits[name] ?? until, until)
        }
    }

    /// Is true once the stage has an input or output.
    var isStage: Bool { places.withLock { !$0.from.isEmpty || !$0.to.isEmpty } }

    var endpoints: (from: [StageEndpoint], to: [StageEndpoint]) { places.withLock { ($0.from, $0.to) } }

    /// The waits that are not over, with the rest of each.
    var waits: [(name: String, rest: Duration)] {
        let now = ContinuousClock.now
        return places.withLock { $0.waits.filter { $0.value > now } }.map { ($0.key, $0.value - now) }.sorted {
            $0.0 < $1.0
        }
    }

    /// - Parameter statistics: the outcomes of the events that the stage has handled.
    func counts(_ statistics: HandlingStatistics) -> Counts {
        Counts(
            taken: taken.load(ordering: .relaxed), written: written.load(ordering: .relaxed),
            failed: failed.load(ordering: .relaxed) + statistics.failures, dropped: dropped.load(ordering: .relaxed))
    }
}

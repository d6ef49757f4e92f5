import Synchronization

/// The writes to one client that have not completed. One timer watches all of them: a timer for each would stay in
/// memory until it expires, even if the write completes at once.
final class PendingWrites: Sendable {
    private struct State {
        var next = 0
        var begun: [Int: ContinuousClock.Instant] = [:]
    }

    private let state = Mutex(State())

    func during(_ write: () async throws -> Void) async throws {
        let number = state.withLock { state in
            state.next += 1
            state.begun[state.next] = .now
            return state.next
        }
        defer { _ = state.withLock { $0.begun.removeValue(forKey: number) } }
        try await write()
    }

    /// Returns when a write has waited for the time limit, or the task is cancelled.
    func waitUntilStuck(_ limit: Duration) async {
        while !Task.isCancelled {
            let oldest = state.withLock { $0.begun.values.min() }
            let left = limit - (oldest.map { .now - $0 } ?? .zero)
            guard left > .zero else { return }
            try? await Task.sleep(for: left)
        }
    }
}

import Synchronization

/// Events that one listener has not taken yet. It never holds more than it was told: updates can be asked for again, so those too
/// many are replaced by a gap.
final class EventQueue: Sendable {
    private struct State {
        var events: [AccountEvent] = []
        var updates = 0
        var bytes = 0
        var ending: Ending?
        var consumer: CheckedContinuation<AccountEvent?, any Error>?
    }

    private struct Ending { let error: (any Error)? }

    private let maxUpdates: Int
    private let maxBytes: Int
    private let state = Mutex(State())

    init(maxUpdates: Int, maxBytes: Int) { (self.maxUpdates, self.maxBytes) = (maxUpdates, maxBytes) }

    func add(_ event: AccountEvent) {
        let consumer = state.withLock { state -> CheckedContinuation<AccountEvent?, any Error>? in
            guard state.ending == nil else { return nil }
            if let consumer = state.consumer {
                state.consumer = nil
                return consumer
            }
            insert(event, &state)
            return nil
        }
        consumer?.resume(returning: event)
    }

    private func insert(_ event: AccountEvent, _ state: inout State) {
        switch event {
        case .updates(let text):
            guard state.updates < maxUpdates, state.bytes + text.count <= maxBytes else { return dropUpdates(&state) }
            state.updates += 1
            state.bytes += text.count
        // Of these, only the last matters.
        case .ready, .waiting: state.events.removeAll { $0.isState }
        case .gap: state.events.removeAll { if case .gap = $0 { true } else { false } }
        }
        state.events.append(event)
    }

    private func dropUpdates(_ state: inout State) {
        state.events.removeAll { if case .updates = $0 { true } else { false } }
        (state.updates, state.bytes) = (0, 0)
        insert(.gap, &state)
    }

    /// What is there is still taken.
    func finish(_ error: (any Error)?) {
        let consumer = state.withLock { state in
            state.ending = state.ending ?? Ending(error: error)
            defer { state.consumer = nil }
            return state.consumer
        }
        if let error { consumer?.resume(throwing: error) } else { consumer?.resume(returning: nil) }
    }

    /// - Returns: nil at the end, and when the task is cancelled.
    func next() async throws -> AccountEvent? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                if let result = takeOrWait(continuation) { continuation.resume(with: result) }
            }
        } onCancel: {
            let consumer = state.withLock { state in
                defer { state.consumer = nil }
                return state.consumer
            }
            consumer?.resume(returning: nil)
        }
    }

    /// - Returns: what to resume with; nil when the continuation waits now.
    private func takeOrWait(
        _ continuation: CheckedContinuation<AccountEvent?, any Error>
    ) -> Result<AccountEvent?, any Error>? {
        state.withLock { state in
            if !state.events.isEmpty {
                let event = state.events.removeFirst()
                if case .updates(let text) = event {
                    state.updates -= 1
                    state.bytes -= text.count
                }
                return .success(event)
            }
            if let ending = state.ending { return ending.error.map { .failure($0) } ?? .success(nil) }
            // Of two consumers the second gets nothing.
            guard !Task.isCancelled, state.consumer == nil else { return .success(nil) }
            state.consumer = continuation
            return nil
        }
    }
}

extension AccountEvent {
    fileprivate var isState: Bool {
        switch self {
        case .ready, .waiting: true
        case .updates, .gap: false
        }
    }
}

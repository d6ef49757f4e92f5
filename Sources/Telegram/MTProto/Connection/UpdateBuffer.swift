import Synchronization

/// What can wait in an `UpdateBuffer`.
package protocol BufferedEvent: Sendable {
    /// That updates may have been lost.
    static var gap: Self { get }
    /// The size of an update, which may be dropped; nil for everything else, which may not.
    var updateBytes: Int? { get }
    /// Whether an older one says nothing any more.
    func replaces(_ older: Self) -> Bool
}

/// Events that one consumer has not taken yet. It never holds more than it was told: updates can be asked for again, so those too many
/// are replaced by a gap.
package final class UpdateBuffer<Event: BufferedEvent>: Sendable {
    private struct Ending { let error: (any Error)? }

    private struct State {
        var events: [Event] = []
        var updates = 0
        var bytes = 0
        var ending: Ending?
        var consumer: CheckedContinuation<Event?, any Error>?
    }

    private let maxUpdates: Int
    private let maxBytes: Int
    private let state = Mutex(State())

    package init(maxUpdates: Int, maxBytes: Int) { (self.maxUpdates, self.maxBytes) = (maxUpdates, maxBytes) }

    package func add(_ event: Event) {
        let consumer = state.withLock { state -> CheckedContinuation<Event?, any Error>? in
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

    private func insert(_ event: Event, _ state: inout State) {
        if let bytes = event.updateBytes {
            guard state.updates < maxUpdates, state.bytes + bytes <= maxBytes else {
                state.events.removeAll { $0.updateBytes != nil }
                (state.updates, state.bytes) = (0, 0)
                return insert(.gap, &state)
            }
            state.updates += 1
            state.bytes += bytes
        } else {
            state.events.removeAll { event.replaces($0) }
        }
        state.events.append(event)
    }

    /// What is there is still taken.
    ///
    /// - Parameter error: what the consumer gets at the end.
    package func finish(_ error: (any Error)? = nil) {
        let consumer = state.withLock { state in
            state.ending = state.ending ?? Ending(error: error)
            defer { state.consumer = nil }
            return state.consumer
        }
        if let error { consumer?.resume(throwing: error) } else { consumer?.resume(returning: nil) }
    }

    /// - Returns: nil at the end, and when the task is cancelled.
    package func next() async throws -> Event? {
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
    private func takeOrWait(_ continuation: CheckedContinuation<Event?, any Error>) -> Result<Event?, any Error>? {
        state.withLock { state in
            if !state.events.isEmpty {
                let event = state.events.removeFirst()
                if let bytes = event.updateBytes {
                    state.updates -= 1
                    state.bytes -= bytes
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

import Synchronization

/// An event that can wait in an `UpdateBuffer`.
package protocol BufferedEvent: Sendable {
    /// The event that stands for updates that may have been lost.
    static var gap: Self { get }
    /// The size of an update, which may be dropped; nil for other events, which may not.
    var updateBytes: Int? { get }
    /// Returns whether an older event is of no use any more after this one.
    func replaces(_ older: Self) -> Bool
}

/// Holds events for one consumer that takes them at its own pace.
///
/// The buffer has limits: when an update exceeds them, all waiting updates are dropped and one gap event takes their place, because
/// Telegram can be asked for updates again.
package final class UpdateBuffer<Event: BufferedEvent>: Sendable {
    private struct Ending { let error: (any Error)? }

    private struct State {
        var events = FirstInFirstOut<Event>()
        var updates = 0
        var bytes = 0
        var ending: Ending?
        var consumer: CheckedContinuation<Event?, any Error>?
    }

    private let maxUpdates: Int
    private let maxBytes: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - maxUpdates: the most updates that wait at once.
    ///   - maxBytes: the most bytes that these updates may have together.
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

    /// Ends the buffer. The consumer still gets the events that wait.
    ///
    /// - Parameter error: thrown to the consumer after the last event.
    package func finish(_ error: (any Error)? = nil) {
        let consumer = state.withLock { state in
            state.ending = state.ending ?? Ending(error: error)
            defer { state.consumer = nil }
            return state.consumer
        }
        if let error { consumer?.resume(throwing: error) } else { consumer?.resume(returning: nil) }
    }

    /// Waits for the next event.
    ///
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

    /// Returns the result to resume the continuation with; nil when the continuation waits now.
    private func takeOrWait(_ continuation: CheckedContinuation<Event?, any Error>) -> Result<Event?, any Error>? {
        state.withLock { state in
            if let event = state.events.popFirst() {
                if let bytes = event.updateBytes {
                    state.updates -= 1
                    state.bytes -= bytes
                }
                return .success(event)
            }
            if let ending = state.ending { return ending.error.map { .failure($0) } ?? .success(nil) }
            // There may be one consumer only: a second one gets the end at once.
            guard !Task.isCancelled, state.consumer == nil else { return .success(nil) }
            state.consumer = continuation
            return nil
        }
    }
}

/// A queue whose first element is removed in constant time, averaged over many removals.
struct FirstInFirstOut<Element> {
    /// Elements in order; those before `head` were taken.
    private var elements: [Element?] = []
    private var head = 0

    var count: Int { elements.count - head }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let first = elements[head].take()
        head += 1
        // The taken places are released when they are half of all, so that each element moves at most once on average.
        if head * 2 >= elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return first
    }

    mutating func removeAll(where isUnwanted: (Element) -> Bool) {
        elements = elements[head...].filter { $0.map { !isUnwanted($0) } ?? false }
        head = 0
    }
}

import Synchronization

/// What a connection tells without being asked.
public enum ConnectionEvent: Sendable {
    /// TL bytes of an update, as the server sent them.
    case update([UInt8])
    /// Updates may have been lost: by the server, or because nobody took them here. The difference has to be asked for.
    case gap
    /// An authorization key was made, which is worth keeping. Secret.
    case key(AuthKey)
    /// What the server wants in each message; to be given to the next connection under the same key.
    case salt(Int64)
    /// Calls are carried out now.
    case ready
    /// There is no connection; the next attempt is made after the pause.
    case waiting(Duration, MTProtoError)
}

/// The events of one connection, for one who takes them; ends with it.
public struct ConnectionEvents: AsyncSequence, Sendable {
    let buffer: EventBuffer

    public func makeAsyncIterator() -> Iterator { Iterator(buffer: buffer) }

    public struct Iterator: AsyncIteratorProtocol {
        let buffer: EventBuffer

        public func next() async -> ConnectionEvent? { await buffer.next() }
    }
}

/// Events that nobody has taken yet. It never holds more than it was told: updates can be asked for again, so those too many are
/// replaced by a gap.
final class EventBuffer: Sendable {
    private struct State {
        var events: [ConnectionEvent] = []
        var updates = 0
        var bytes = 0
        var isFinished = false
        var consumer: CheckedContinuation<ConnectionEvent?, Never>?
    }

    private let maxUpdates: Int
    private let maxBytes: Int
    private let state = Mutex(State())

    init(maxUpdates: Int, maxBytes: Int) { (self.maxUpdates, self.maxBytes) = (maxUpdates, maxBytes) }

    func add(_ event: ConnectionEvent) {
        let consumer = state.withLock { state -> CheckedContinuation<ConnectionEvent?, Never>? in
            if let consumer = state.consumer {
                state.consumer = nil
                return consumer
            }
            insert(event, &state)
            return nil
        }
        consumer?.resume(returning: event)
    }

    private func insert(_ event: ConnectionEvent, _ state: inout State) {
        switch event {
        case .update(let body):
            guard state.updates < maxUpdates, state.bytes + body.count <= maxBytes else { return dropUpdates(&state) }
            state.updates += 1
            state.bytes += body.count
        // Of these, only the last matters.
        case .ready, .waiting: state.events.removeAll { if case .update = $0 { false } else { $0.isState } }
        case .salt: state.events.removeAll { if case .salt = $0 { true } else { false } }
        case .gap: state.events.removeAll { if case .gap = $0 { true } else { false } }
        case .key: break
        }
        state.events.append(event)
    }

    private func dropUpdates(_ state: inout State) {
        state.events.removeAll { if case .update = $0 { true } else { false } }
        (state.updates, state.bytes) = (0, 0)
        insert(.gap, &state)
    }

    func finish() {
        let consumer = state.withLock { state in
            state.isFinished = true
            defer { state.consumer = nil }
            return state.consumer
        }
        consumer?.resume(returning: nil)
    }

    func next() async -> ConnectionEvent? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if let event = takeOrWait(continuation) { continuation.resume(returning: event) }
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
    private func takeOrWait(_ continuation: CheckedContinuation<ConnectionEvent?, Never>) -> ConnectionEvent?? {
        state.withLock { state -> ConnectionEvent?? in
            if !state.events.isEmpty {
                let event = state.events.removeFirst()
                if case .update(let body) = event {
                    state.updates -= 1
                    state.bytes -= body.count
                }
                return .some(event)
            }
            // Of two consumers the first gets nothing more.
            guard !state.isFinished, !Task.isCancelled, state.consumer == nil else { return .some(nil) }
            state.consumer = continuation
            return nil
        }
    }
}

extension ConnectionEvent {
    fileprivate var isState: Bool {
        switch self {
        case .ready, .waiting: true
        default: false
        }
    }
}

import MTProto
import Synchronization
import TL

/// Distributes events to all listeners, each at its own pace.
final class EventHub: Sendable {
    /// The most updates that wait for one listener, and the bytes of their texts together. Beyond that, a gap takes their place.
    static let maxUpdates = 10_000
    static let maxBytes = 16 << 20

    private struct State {
        var listeners: [Int: UpdateBuffer<AccountEvent>] = [:]
        var next = 0
        var end: (any Error)?
        /// The state of the connection, which a new listener receives first.
        var standing: AccountEvent?
    }

    private let state = Mutex(State())

    /// Adds a listener.
    ///
    /// - Throws: the reason for which the hub has ended.
    func listen() throws -> AccountEvents {
        let (number, queue) = try state.withLock { state throws in
            if let end = state.end { throw end }
            let queue = UpdateBuffer<AccountEvent>(maxUpdates: EventHub.maxUpdates, maxBytes: EventHub.maxBytes)
            if let standing = state.standing { queue.add(standing) }
            state.next += 1
            state.listeners[state.next] = queue
            return (state.next, queue)
        }
        return AccountEvents(
            EventSubscription(queue) { [weak self] in
                _ = self?.state.withLock { $0.listeners.removeValue(forKey: number) }
            })
    }

    func add(_ event: AccountEvent) {
        let queues = state.withLock { state in
            switch event {
            case .ready, .waiting: state.standing = event
            case .updates, .gap: break
            }
            return Array(state.listeners.values)
        }
        for queue in queues { queue.add(event) }
    }

    /// Ends all listeners' sequences.
    ///
    /// - Parameter error: thrown to the listeners; nil when this side ends the account's use.
    func end(_ error: (any Error)?) {
        let queues = state.withLock { state in
            state.end = state.end ?? error
            defer { state.listeners = [:] }
            return Array(state.listeners.values)
        }
        for queue in queues { queue.finish(error) }
    }
}

/// The events of an account, for one consumer.
struct AccountEvents: AsyncSequence, Sendable {
    typealias Element = AccountEvent
    typealias Failure = any Error

    private let listener: EventSubscription

    init(_ listener: EventSubscription) { self.listener = listener }

    func makeAsyncIterator() -> Iterator { Iterator(listener: listener) }

    struct Iterator: AsyncIteratorProtocol {
        let listener: EventSubscription

        mutating func next() async throws -> AccountEvent? { try await listener.queue.next() }
    }
}

/// Removes its listener from the hub when the last reference is gone.
final class EventSubscription: Sendable {
    let queue: UpdateBuffer<AccountEvent>
    private let stop: @Sendable () -> Void

    init(_ queue: UpdateBuffer<AccountEvent>, stop: @escaping @Sendable () -> Void) {
        (self.queue, self.stop) = (queue, stop)
    }

    deinit { stop() }
}

extension AccountEvent: BufferedEvent {
    package var updateBytes: Int? { if case .updates(let updates) = self { updates.textBytes } else { nil } }

    package func replaces(_ older: AccountEvent) -> Bool {
        switch (older, self) {
        case (.ready, .ready), (.ready, .waiting), (.waiting, .ready), (.waiting, .waiting), (.gap, .gap): true
        default: false
        }
    }
}

import Synchronization
import System

/// Limits the number of fetches that run at once, in all and for each user. The others wait.
///
/// A free place goes to the waiting user with the fewest fetches, among several to the one who was served longest ago, so
/// that a user with many requests delays nobody else. Requests of one user run in order of arrival.
final class FetchPlaces: Sendable {
    private struct Waiter {
        let ticket: Int
        /// Requests without a user share nothing but the places.
        let user: Int64?
    }

    private struct State {
        var free: Int
        var line: [Waiter] = []
        var nextTicket = 0
        var running: [Int64: Int] = [:]
        /// The ticket with which each user was last served. Users without fetches are forgotten once nobody waits.
        var lastServed: [Int64: Int] = [:]

        /// Returns the waiter whose turn it is; nil if no place is free for any.
        func next(_ maxPerUser: Int) -> Waiter? {
            guard free > 0 else { return nil }
            func rank(_ waiter: Waiter) -> (Int, Int, Int) {
                return (
                    waiter.user.flatMap { running[$0] } ?? 0, waiter.user.flatMap { lastServed[$0] } ?? 0, waiter.ticket
                )
            }
            return line.filter { $0.user == nil || rank($0).0 < maxPerUser }.min { rank($0) < rank($1) }
        }

        mutating func start(_ waiter: Waiter) {
            free -= 1
            line.removeAll { $0.ticket == waiter.ticket }
            nextTicket += 1
            guard let user = waiter.user else { return }
            running[user, default: 0] += 1
            lastServed[user] = nextTicket
        }

        mutating func end(_ user: Int64?) {
            free += 1
            if let user, let count = running[user] { running[user] = count > 1 ? count - 1 : nil }
            if line.isEmpty { lastServed = lastServed.filter { running[$0.key] != nil } }
        }
    }

    private let state: Mutex<State>
    private let maxPerUser: Int
    private let changed = Signal()

    /// - Parameter maxPerUser: the most fetches of one user at once; nil sets no such limit.
    init(_ count: Int, maxPerUser: Int? = nil) {
        state = Mutex(State(free: count))
        self.maxPerUser = maxPerUser ?? .max
    }

    /// Runs a fetch as soon as a place is free for it.
    ///
    /// - Parameters:
    ///   - user: the user who asked for it; nil if that is unknown.
    ///   - onWait: is called once, if the fetch has to wait.
    func run<Value>(for user: Int64? = nil, onWait: () -> Void, _ fetch: () async throws -> Value) async throws -> Value
    {
        try await takePlace(user, onWait)
        defer {
            state.withLock { $0.end(user) }
            changed.notify()
        }
        return try await fetch()
    }

    private func takePlace(_ user: Int64?, _ onWait: () -> Void) async throws {
        let waiter = state.withLock { state in
            state.nextTicket += 1
            let waiter = Waiter(ticket: state.nextTicket, user: user)
            state.line.append(waiter)
            return waiter
        }
        var hasWaited = false
        while true {
            let generation = changed.generation
            if takePlace(waiter) { return }
            if !hasWaited { onWait() }
            hasWaited = true
            await changed.wait(since: generation)
            guard !Task.isCancelled else {
                state.withLock { state in state.line.removeAll { $0.ticket == waiter.ticket } }
                changed.notify()
                throw CancellationError()
            }
        }
    }

    private func takePlace(_ waiter: Waiter) -> Bool {
        let (isTaken, isMoreFree) = state.withLock { state in
            guard state.next(maxPerUser)?.ticket == waiter.ticket else { return (false, false) }
            state.start(waiter)
            return (true, state.next(maxPerUser) != nil)
        }
        // The next in line may have looked for a place while it was not yet its turn, and must look again.
        if isMoreFree { changed.notify() }
        return isTaken
    }
}

import Synchronization
import System

/// Limits the number of fetches that run at once. The others wait in order of arrival.
final class FetchPlaces: Sendable {
    private struct State {
        var free: Int
        /// The tickets of the fetches that wait for a place.
        var line: [Int] = []
        var nextTicket = 0
    }

    private let state: Mutex<State>
    private let changed = Signal()

    init(_ count: Int) { state = Mutex(State(free: count)) }

    /// Runs a fetch as soon as a place is free.
    ///
    /// - Parameter onWait: is called once, if the fetch has to wait.
    func run<Value>(onWait: () -> Void, _ fetch: () async throws -> Value) async throws -> Value {
        try await takePlace(onWait)
        defer {
            state.withLock { $0.free += 1 }
            changed.notify()
        }
        return try await fetch()
    }

    private func takePlace(_ onWait: () -> Void) async throws {
        let ticket = state.withLock { state in
            state.nextTicket += 1
            state.line.append(state.nextTicket)
            return state.nextTicket
        }
        var hasWaited = false
        while true {
            let generation = changed.generation
            if takePlace(ticket) { return }
            if !hasWaited { onWait() }
            hasWaited = true
            await changed.wait(since: generation, atMost: .seconds(60))
            guard !Task.isCancelled else {
                state.withLock { state in state.line.removeAll { $0 == ticket } }
                changed.notify()
                throw CancellationError()
            }
        }
    }

    private func takePlace(_ ticket: Int) -> Bool {
        let (isTaken, isMoreFree) = state.withLock { state in
            guard state.free > 0, state.line.first == ticket else { return (false, false) }
            state.line.removeFirst()
            state.free -= 1
            return (true, state.free > 0 && !state.line.isEmpty)
        }
        // The next in line may have looked for a place while it was not yet the first, and must look again.
        if isMoreFree { changed.notify() }
        return isTaken
    }
}

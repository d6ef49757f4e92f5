import Media
import Stage
import Synchronization

/// The fetches under way: so many at once, the first to come first, and each source once.
///
/// Whoever asks for what is already being fetched gets the result of that, success or failure.
final class Fetches: Sendable {
    private struct State {
        var free: Int
        /// Who waits for a place.
        var line: [Int] = []
        var nextTicket = 0
        var sources: [String: SharedFetch] = [:]
    }

    private let state: Mutex<State>
    private let changed = Signal()

    init(atOnce: Int) { state = Mutex(State(free: atOnce)) }

    /// Fetches a source, or waits for the fetch of it that is under way.
    ///
    /// - Parameter onWait: told why, when it has to wait.
    func fetch(
        _ key: String, onWait: (MediaProgress.State) -> Void, _ fetch: () async throws -> FetchedMedia
    ) async throws -> FetchedMedia {
        let (shared, isOwner) = share(key)
        guard isOwner else {
            onWait(.waiting)
            return try await shared.outcome()
        }
        let outcome: SharedFetch.Outcome
        do {
            outcome = .success(try await inPlace(onWait, fetch))
        } catch {
            outcome = .failure(error)
        }
        state.withLock { $0.sources[key] = nil }
        shared.finish(outcome)
        return try outcome.get()
    }

    private func share(_ key: String) -> (SharedFetch, isOwner: Bool) {
        state.withLock { state in
            if let shared = state.sources[key] { return (shared, false) }
            let shared = SharedFetch()
            state.sources[key] = shared
            return (shared, true)
        }
    }

    private func inPlace(
        _ onWait: (MediaProgress.State) -> Void, _ fetch: () async throws -> FetchedMedia
    ) async throws -> FetchedMedia {
        try await takePlace(onWait)
        defer {
            state.withLock { $0.free += 1 }
            changed.notify()
        }
        return try await fetch()
    }

    private func takePlace(_ onWait: (MediaProgress.State) -> Void) async throws {
        let ticket = state.withLock { state in
            state.nextTicket += 1
            state.line.append(state.nextTicket)
            return state.nextTicket
        }
        var hasWaited = false
        while true {
            let generation = changed.generation
            if takePlace(ticket) { return }
            if !hasWaited { onWait(.queued) }
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
        // The next in line may have looked while it was not yet the first.
        if isMoreFree { changed.notify() }
        return isTaken
    }
}

/// One fetch that several ask for.
private final class SharedFetch: Sendable {
    typealias Outcome = Result<FetchedMedia, any Error>

    private let result = Mutex<Outcome?>(nil)
    private let changed = Signal()

    func finish(_ outcome: Outcome) {
        result.withLock { $0 = outcome }
        changed.notify()
    }

    func outcome() async throws -> FetchedMedia {
        while true {
            let generation = changed.generation
            if let outcome = result.withLock({ $0 }) { return try outcome.get() }
            await changed.wait(since: generation, atMost: .seconds(60))
            try Task.checkCancellation()
        }
    }
}

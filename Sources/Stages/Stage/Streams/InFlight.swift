import Synchronization

/// Holds what has been asked for, in order, between the task that asks and the task that waits for the answers.
final class InFlight<Element: Sendable>: Sendable {
    private struct State {
        /// Oldest first.
        var elements: [Element] = []
        var ending: Result<Void, any Error>?
        var asker: CheckedContinuation<Void, Never>?
        var taker: CheckedContinuation<Void, Never>?
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: the most elements that are held, besides the one that was taken last.
    init(limit: Int) { self.limit = limit }

    /// Waits until there is room for an element. Only one task may put elements.
    ///
    /// - Returns: false after `abandon`: no more elements are taken.
    func waitForRoom() async -> Bool {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.elements.count < limit || state.ending != nil { return true }
                state.asker = continuation
                return false
            }
            if isFree { continuation.resume() }
        }
        return state.withLock { $0.ending == nil }
    }

    func put(_ element: Element) {
        let taker = state.withLock { state in
            state.elements.append(element)
            return state.taker.take()
        }
        taker?.resume()
    }

    /// Tells that no more elements come.
    ///
    /// - Parameter error: is thrown to the taker after the last element.
    func finish(_ error: (any Error)? = nil) {
        let taker = state.withLock { state in
            state.ending = state.ending ?? error.map { .failure($0) } ?? .success(())
            return state.taker.take()
        }
        taker?.resume()
    }

    /// Takes the oldest element; waits for it. Returns nil at the end. Only one task may take elements.
    ///
    /// - Throws: the error of `finish`.
    func take() async throws -> Element? {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if !state.elements.isEmpty || state.ending != nil { return true }
                state.taker = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
        let (element, asker, ending) = state.withLock { state in
            let element = state.elements.isEmpty ? nil : state.elements.removeFirst()
            return (element, state.asker.take(), state.ending)
        }
        asker?.resume()
        if let element { return element }
        try ending?.get()
        return nil
    }

    /// Ends both sides: no more elements are taken.
    func abandon() {
        let waiting = state.withLock { state in
            state.ending = .success(())
            state.elements = []
            return [state.asker.take(), state.taker.take()]
        }
        for continuation in waiting { continuation?.resume() }
    }
}

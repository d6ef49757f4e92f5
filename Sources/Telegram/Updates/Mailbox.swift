import Synchronization

/// A few things between one task that brings them and one that takes them; who brings more waits.
final class Mailbox<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var isClosed = false
        var taker: CheckedContinuation<Void, Never>?
        var giver: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    private let room: Int

    init(room: Int) { self.room = room }

    /// Returns when it is in, or nobody will take it any more.
    func put(_ element: Element) async {
        await waitForRoom()
        let taker = state.withLock { state in
            guard !state.isClosed else { return nil as CheckedContinuation<Void, Never>? }
            state.elements.append(element)
            defer { state.taker = nil }
            return state.taker
        }
        taker?.resume()
    }

    /// What is there, in order, at least one; empty when there was nothing until `deadline`, or the task was cancelled.
    func take(until deadline: ContinuousClock.Instant?) async -> [Element] {
        if let deadline {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.waitForElement() }
                group.addTask { try? await Task.sleep(until: deadline) }
                await group.next()
                group.cancelAll()
            }
        } else {
            await waitForElement()
        }
        let (taken, giver) = state.withLock { state in
            defer { (state.elements, state.giver) = ([], nil) }
            return (state.elements, state.giver)
        }
        giver?.resume()
        return taken
    }

    /// Nobody will take anything any more.
    func close() {
        let waiting = state.withLock { state in
            state.isClosed = true
            defer { (state.giver, state.taker) = (nil, nil) }
            return [state.giver, state.taker]
        }
        for continuation in waiting { continuation?.resume() }
    }

    private func waitForElement() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if !state.elements.isEmpty || state.isClosed || Task.isCancelled { return true }
                    state.taker = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.taker = nil }
                return state.taker
            }?.resume()
        }
    }

    private func waitForRoom() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.elements.count < room || state.isClosed || Task.isCancelled { return true }
                    state.giver = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.giver = nil }
                return state.giver
            }?.resume()
        }
    }
}

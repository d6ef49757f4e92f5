import Synchronization

/// Wakes all tasks that wait for a change.
package final class Signal: Sendable {
    private struct State {
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var next = 0
        var generation = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// The number of notifications so far. Read it before the check that precedes `wait`, so that no change is missed.
    package var generation: Int { state.withLock { $0.generation } }

    /// Wakes the waiting tasks.
    package func notify() {
        let waiters = state.withLock { state in
            state.generation += 1
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns at the first `notify` after `generation` was read, after the time given, or when the task is cancelled.
    ///
    /// - Parameter limit: the longest wait; nil, which costs no timer and no tasks, if nothing but a notification can end the wait.
    package func wait(since generation: Int, atMost limit: Duration? = nil) async {
        guard let limit else { return await waitForNotification(since: generation) }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await Task.sleep(for: limit) }
            group.addTask { await self.waitForNotification(since: generation) }
            await group.next()
            group.cancelAll()
        }
    }

    private func waitForNotification(since generation: Int) async {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled || state.generation != generation { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }
}

import Synchronization

/// Passes elements from one producer to one consumer. The producer waits while the queue is full.
final class BoundedQueue<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var isClosed = false
        var consumer: CheckedContinuation<Void, Never>?
        var producer: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    private let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    /// Adds an element once there is room. A closed queue drops it.
    func put(_ element: Element) async {
        await waitForRoom()
        let consumer = state.withLock { state in
            guard !state.isClosed else { return nil as CheckedContinuation<Void, Never>? }
            state.elements.append(element)
            defer { state.consumer = nil }
            return state.consumer
        }
        consumer?.resume()
    }

    /// Takes all elements, in their order, and waits for the first one.
    ///
    /// - Returns: an empty array when none arrived before `deadline`, the queue was closed, or the task was cancelled.
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
        let (taken, producer) = state.withLock { state in
            defer { (state.elements, state.producer) = ([], nil) }
            return (state.elements, state.producer)
        }
        producer?.resume()
        return taken
    }

    /// Ends all waits, also future ones. Elements in the queue can still be taken.
    func close() {
        let waiting = state.withLock { state in
            state.isClosed = true
            defer { (state.producer, state.consumer) = (nil, nil) }
            return [state.producer, state.consumer]
        }
        for continuation in waiting { continuation?.resume() }
    }

    private func waitForElement() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if !state.elements.isEmpty || state.isClosed || Task.isCancelled { return true }
                    state.consumer = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.consumer = nil }
                return state.consumer
            }?.resume()
        }
    }

    private func waitForRoom() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.elements.count < capacity || state.isClosed || Task.isCancelled { return true }
                    state.producer = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.producer = nil }
                return state.producer
            }?.resume()
        }
    }
}

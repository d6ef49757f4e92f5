import Synchronization

/// Holds a result that arrives once, and that any number of tasks wait for.
package final class Promise<Value: Sendable>: Sendable {
    private struct Waiter {
        let number: Int
        let continuation: CheckedContinuation<Value, any Error>
    }

    private struct State {
        var result: Result<Value, any Error>?
        var waiters: [Waiter] = []
        var lastNumber = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// The result, or nil while it has not arrived.
    package var result: Result<Value, any Error>? { state.withLock { $0.result } }

    /// Sets the result and resumes the waiting tasks. Only the first call has an effect.
    package func fulfil(_ result: Result<Value, any Error>) {
        let waiters = state.withLock { state -> [Waiter] in
            guard state.result == nil else { return [] }
            state.result = result
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(with: result) }
    }

    /// Waits for the result.
    ///
    /// - Throws: the error of a failed result; `CancellationError` if the task is cancelled.
    package func value() async throws -> Value {
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state -> Result<Value, any Error>? in
                    if let result = state.result { return result }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiters.append(Waiter(number: number, continuation: continuation))
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> Waiter? in
                guard let index = state.waiters.firstIndex(where: { $0.number == number }) else { return nil }
                return state.waiters.remove(at: index)
            }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }
}

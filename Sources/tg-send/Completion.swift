import Stage
import Synchronization

/// What becomes of a job, for the one who waits for it. The first word counts.
final class Completion: Sendable {
    private enum State {
        case open
        case waited(CheckedContinuation<Outcome, any Error>)
        case over(Result<Outcome, any Error>)
    }

    private let state = Mutex(State.open)

    func finish(_ result: Result<Outcome, any Error>) {
        let waiting: CheckedContinuation<Outcome, any Error>? = state.withLock { state in
            switch state {
            case .open: state = .over(result)
            case .waited(let continuation):
                state = .over(result)
                return continuation
            case .over: break
            }
            return nil
        }
        waiting?.resume(with: result)
    }

    /// Waits for it; for one task.
    func value() async throws -> Outcome {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let early: Result<Outcome, any Error>? = state.withLock { state in
                    if case .over(let result) = state { return result }
                    state = .waited(continuation)
                    return nil
                }
                if let early { continuation.resume(with: early) }
            }
        } onCancel: {
            finish(.failure(CancellationError()))
        }
    }
}

import Synchronization

/// Commands on their way to the server, and the one who waits for their replies.
final class Exchange: Sendable {
    typealias Outcome = Result<[RedisValue], RedisError>

    let bytes: [UInt8]
    let replyCount: Int
    let deadline: Deadline
    private let state = Mutex(State.fresh)

    private enum State {
        case fresh
        case waiting(CheckedContinuation<Outcome, Never>)
        case finished(Outcome)
    }

    init(_ batch: CommandBatch, deadline: Deadline) {
        bytes = batch.bytes
        replyCount = batch.count
        self.deadline = deadline
    }

    /// Nobody waits any more: what still comes is thrown away.
    var isFinished: Bool {
        state.withLock { if case .finished = $0 { true } else { false } }
    }

    func attach(_ continuation: CheckedContinuation<Outcome, Never>) {
        let early: Outcome? = state.withLock {
            if case .finished(let outcome) = $0 { return outcome }
            $0 = .waiting(continuation)
            return nil
        }
        if let early { continuation.resume(returning: early) }
    }

    /// The first outcome counts.
    func finish(_ outcome: Outcome) {
        let waiting: CheckedContinuation<Outcome, Never>? = state.withLock {
            switch $0 {
            case .finished: return nil
            case .fresh:
                $0 = .finished(outcome)
                return nil
            case .waiting(let continuation):
                // The outcome itself is not kept: only that there was one.
                $0 = .finished(.success([]))
                return continuation
            }
        }
        waiting?.resume(returning: outcome)
    }
}

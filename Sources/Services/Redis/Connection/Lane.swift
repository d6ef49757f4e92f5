import System
import Synchronization

/// Hands commands from tasks to the thread that owns the connection.
final class Lane: Sendable {
    let address: RedisAddress
    let clientName: String
    let connectTimeout: Duration
    /// Runs on the connection's thread before it connects, to start the private server.
    let prepare: (@Sendable (Deadline) throws(RedisError) -> Void)?
    let waiter = PollWaiter()
    private let state = Mutex(State())

    private struct State {
        var queue: [Exchange] = []
        var threadRuns = false
        var threadSleeps = false
        var isClosing = false
        var closers: [CheckedContinuation<Void, Never>] = []
    }

    init(
        address: RedisAddress, clientName: String, connectTimeout: Duration,
        prepare: (@Sendable (Deadline) throws(RedisError) -> Void)?
    ) {
        self.address = address
        self.clientName = clientName
        self.connectTimeout = connectTimeout
        self.prepare = prepare
    }

    /// Hands over commands; the first call starts the thread.
    func submit(_ exchange: Exchange) {
        enum Next { case nothing, wake, start, refuse }
        let next: Next = state.withLock { state in
            if state.isClosing { return .refuse }
            state.queue.append(exchange)
            if !state.threadRuns {
                state.threadRuns = true
                return .start
            }
            defer { state.threadSleeps = false }
            return state.threadSleeps ? .wake : .nothing
        }
        switch next {
        case .nothing: break
        case .wake: waiter.wake()
        case .start: start()
        case .refuse: exchange.finish(.failure(closed))
        }
    }

    private func start() {
        if waiter.isUsable { return BlockingThread.start { ConnectionThread(self).run() } }
        let queue = state.withLock { state in
            state.threadRuns = false
            defer { state.queue = [] }
            return state.queue
        }
        let error = RedisError(
            .unreachable, "no file descriptor is left for a connection to Redis: raise the limit (ulimit -n)")
        for exchange in queue { exchange.finish(.failure(error)) }
    }

    /// Returns the new exchanges to the thread. Without any, the thread counts as sleeping from then on.
    func take() -> (new: [Exchange], isClosing: Bool) {
        state.withLock { state in
            defer { state.queue = [] }
            state.threadSleeps = state.queue.isEmpty
            return (state.queue, state.isClosing)
        }
    }

    /// Refuses further commands, and resumes `continuation` when the thread has ended.
    func close(_ continuation: CheckedContinuation<Void, Never>? = nil) {
        let runs = state.withLock {
            $0.isClosing = true
            if $0.threadRuns, let continuation { $0.closers.append(continuation) }
            return $0.threadRuns
        }
        if runs { waiter.wake() } else { continuation?.resume() }
    }

    /// Notes the end of the thread.
    func threadEnded() {
        let (queue, closers) = state.withLock { state in
            state.threadRuns = false
            defer { (state.queue, state.closers) = ([], []) }
            return (state.queue, state.closers)
        }
        for exchange in queue { exchange.finish(.failure(closed)) }
        for closer in closers { closer.resume() }
    }

    var closed: RedisError { RedisError(.closed, "the connection to Redis at \(address) is closed") }
}

import Glibc
import JSON
import Synchronization
import System

/// Hands commands from tasks to the thread that owns the connection.
///
/// While nothing is under way, a task sends its commands itself, which saves waking the thread. The thread learns of them when it wakes
/// for the reply, and reads none before. Commands that come meanwhile are left to the thread, which sends them together.
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
        /// Where the next exchange may be sent: the thread sleeps, and nothing is under way.
        var offer: Offer?
        var isClosing = false
        var closers: [CheckedContinuation<Void, Never>] = []
    }

    private struct Offer {
        let descriptor: Int32
        /// The time at which the thread wakes by itself. It looks after all deadlines that are not earlier.
        let until: Deadline
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

    /// Connects to the server, or to the primary server that the sentinels of the address name.
    func connect(until deadline: Deadline) throws(RedisError) -> Link {
        try prepare?(deadline)
        guard case .sentinel(let sentinels, let primary) = address.server else {
            return try Link(to: address, clientName: clientName, until: deadline, waiter: waiter)
        }
        return try Sentinels(
            address: address, sentinels: sentinels, primary: primary, clientName: clientName, waiter: waiter
        ).connect(until: deadline)
    }

    /// Is true if the address may lead to another server later: a server that has become a replica is left then.
    var isFollowing: Bool { address.mayMove }

    /// Hands over commands without waiting for their replies.
    func start(_ batch: CommandBatch, until deadline: Deadline) -> Sent {
        var batch = batch
        let isConfirmed = address.replicas > 0 && batch.mayWrite
        if isConfirmed {
            let limit = min(deadline.remaining.milliseconds, Self.confirmationLimit)
            batch.append(["WAIT", .integer(Int64(address.replicas)), .integer(max(1, limit))])
        }
        let exchange = Exchange(batch, deadline: deadline, replicas: isConfirmed ? Int64(address.replicas) : 0)
        submit(exchange)
        return Sent(exchange: exchange, address: address, isConfirmed: isConfirmed)
    }

    /// How many milliseconds replicas have to confirm a write.
    private static let confirmationLimit: Int64 = 1000

    /// Represents commands whose replies can be waited for.
    struct Sent: Sendable {
        fileprivate let exchange: Exchange
        fileprivate let address: RedisAddress
        fileprivate let isConfirmed: Bool

        /// Waits for the replies.
        ///
        /// - Throws: `RedisError`, also if too few replicas have confirmed the writes in time: they may be lost with the server.
        func replies() async throws(RedisError) -> [RedisValue] {
            var replies = try await exchange.replies()
            guard isConfirmed, let confirmed = replies.popLast() else { return replies }
            // Nothing was written: the caller follows the redirection, or asks for the primary server.
            if replies.contains(where: { $0.isRedirection || $0.saysReadOnly }) { return replies }
            if case .error(let text) = confirmed {
                // A replica refuses to wait, in words without a code of their own. It has refused the commands, too, for instance as
                // the cluster is down, or else another server is asked for.
                if text.contains("replica") {
                    if replies.contains(where: \.isError) { return replies }
                    throw RedisError(.readOnly, "Redis at \(address) is a replica: \(text.printable(atMost: 100))")
                }
                throw RedisError(reply: text, from: address)
            }
            guard let count = confirmed.int, count >= Int64(address.replicas) else {
                throw RedisError(
                    .timedOut,
                    "only \(confirmed.int ?? 0) of \(address.replicas) replicas have what was written to Redis at \(address)"
                )
            }
            return replies
        }
    }

    /// Hands over commands; the first call starts the thread.
    private func submit(_ exchange: Exchange) {
        enum Next { case nothing, wake, start, refuse }
        let next: Next = state.withLock { state in
            if state.isClosing { return .refuse }
            state.queue.append(exchange)
            if !state.threadRuns {
                state.threadRuns = true
                return .start
            }
            if let offer = state.offer.take(), exchange.deadline >= offer.until,
                Lane.send(exchange, to: offer.descriptor)
            {
                return .nothing
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

    /// Sends an exchange from the caller's thread, as far as the system accepts it without waiting.
    ///
    /// - Returns: false if the thread has to send the rest, or to find out why nothing could be sent.
    private static func send(_ exchange: Exchange, to descriptor: Int32) -> Bool {
        let bytes = exchange.bytes
        let count = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        exchange.noteSent(max(0, count))
        return count == bytes.count
    }

    /// Lets a task send the next exchange to a socket, which the thread does not use until it calls `take`.
    ///
    /// - Returns: false if the thread must not sleep, because there are new exchanges, or the lane closes.
    func offer(_ descriptor: Int32, until deadline: Deadline) -> Bool {
        state.withLock { state in
            guard state.queue.isEmpty, state.threadSleeps, !state.isClosing else { return false }
            state.offer = Offer(descriptor: descriptor, until: deadline)
            return true
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

    /// Returns the new exchanges to the thread, and lets nobody else send any more. Without any, the thread counts as sleeping from then
    /// on.
    func take() -> (new: [Exchange], isClosing: Bool) {
        state.withLock { state in
            defer { state.queue = [] }
            state.offer = nil
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

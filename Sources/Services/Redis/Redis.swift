package import System

/// Represents a connection to a Redis server that any number of tasks share, or the connections to the nodes of a cluster.
///
/// In a cluster, the keys of a script and of a transaction must have the same hash tag (the part in braces), and the commands of a
/// pipeline go to several nodes. It connects at the first command, and again after the connection was lost. One thread owns it and sends the commands of concurrent
/// tasks together. Commands that were pending when the connection was lost fail with `.unreachable` and are not repeated; see
/// `withRetry`. Commands that wait in the server (`BLPOP`, `XREADGROUP BLOCK`) delay all commands behind them and need a `Redis` of their
/// own. `SUBSCRIBE`, `SELECT` and `MONITOR` change the state of the connection and must not be used.
package final class Redis: Sendable {
    package let address: RedisAddress
    private let commandTimeout: Duration
    private let servers: Servers

    private enum Servers {
        case one(Lane)
        case cluster(Cluster)
    }

    /// - Parameter clientName: the name that `CLIENT LIST` shows.
    package convenience init(
        _ address: RedisAddress, clientName: String,
        connectTimeout: Duration = .seconds(5), commandTimeout: Duration = .seconds(5)
    ) {
        self.init(
            address, clientName: clientName, connectTimeout: connectTimeout, commandTimeout: commandTimeout,
            prepare: nil)
    }

    /// - Parameter prepare: see `Lane.prepare`.
    init(
        _ address: RedisAddress, clientName: String, connectTimeout: Duration, commandTimeout: Duration,
        prepare: (@Sendable (Deadline) throws(RedisError) -> Void)?
    ) {
        self.address = address
        self.commandTimeout = commandTimeout
        if case .cluster(let seeds) = address.server {
            servers = .cluster(
                Cluster(address, seeds: seeds, clientName: clientName, connectTimeout: connectTimeout))
        } else {
            servers = .one(
                Lane(address: address, clientName: clientName, connectTimeout: connectTimeout, prepare: prepare))
        }
    }

    deinit { close(nil) }

    /// Sends one command.
    ///
    /// - Throws: `RedisError`, also for an error reply.
    @discardableResult
    package func send(_ command: RedisArgument...) async throws(RedisError) -> RedisValue {
        try await send(command)
    }

    /// Sends one command. A command that waits in the server needs a timeout that is longer than its wait.
    @discardableResult
    package func send(_ command: [RedisArgument], timeout: Duration? = nil) async throws(RedisError) -> RedisValue {
        try checked(try await exchange(CommandBatch([command]), timeout: timeout).first ?? .null)
    }

    /// Sends one command without a key. In a cluster, the node that owns `key` gets it.
    package func send(_ command: [RedisArgument], near key: String) async throws(RedisError) -> RedisValue {
        try checked(try await exchange(CommandBatch([command]), near: key).first ?? .null)
    }

    /// Sends one command to the server, or to each node of a cluster that owns keys; returns the reply of each.
    package func sendEverywhere(_ command: RedisArgument...) async throws(RedisError) -> [RedisValue] {
        let batch = CommandBatch([command])
        var replies: [RedisValue] = []
        switch servers {
        case .one: replies = try await exchange(batch)
        case .cluster(let cluster):
            replies = try await cluster.exchangeEverywhere(batch, until: .after(commandTimeout)).flatMap { $0 }
        }
        return try checked(replies)
    }

    /// Sends commands without waiting in between; returns the replies in order, error replies as `.error`.
    package func pipeline(
        _ commands: [[RedisArgument]], timeout: Duration? = nil
    ) async throws(RedisError) -> [RedisValue] {
        try await exchange(CommandBatch(commands), timeout: timeout)
    }

    /// Sends encoded commands without waiting in between; returns the replies in order, error replies as `.error`.
    package func pipeline(_ batch: CommandBatch, timeout: Duration? = nil) async throws(RedisError) -> [RedisValue] {
        try await exchange(batch, timeout: timeout)
    }

    /// Hands over encoded commands without waiting for their replies. The commands of later calls come after them.
    ///
    /// In a cluster, they are sent only when the replies are waited for, so that later commands cannot come before those that a node
    /// sends elsewhere.
    package func start(_ batch: CommandBatch, timeout: Duration? = nil) -> Started {
        guard batch.count > 0 else { return Started(state: .none) }
        switch servers {
        case .one(let lane):
            return Started(state: .sent(lane.start(batch, until: .after(timeout ?? commandTimeout))))
        case .cluster: return Started(state: .later(self, batch, timeout))
        }
    }

    /// Represents commands that were handed over.
    package struct Started: Sendable {
        fileprivate enum State {
            case none
            case sent(Lane.Sent)
            case later(Redis, CommandBatch, Duration?)
        }

        fileprivate let state: State

        /// Waits for the replies, in order, error replies as `.error`.
        package func replies() async throws(RedisError) -> [RedisValue] {
            switch state {
            case .none: []
            case .sent(let sent): try await sent.replies()
            case .later(let redis, let batch, let timeout): try await redis.exchange(batch, timeout: timeout)
            }
        }
    }

    /// Runs commands in one atomic step (`MULTI` … `EXEC`); returns the replies in order, failures of single commands as `.error`.
    ///
    /// - Throws: `RedisError` if the server refuses one of the commands; it then has run none.
    package func transaction(
        _ commands: [[RedisArgument]], timeout: Duration? = nil
    ) async throws(RedisError) -> [RedisValue] {
        guard !commands.isEmpty else { return [] }
        let replies = try await exchange(
            CommandBatch([["MULTI"]] + commands + [["EXEC"]]), timeout: timeout, isUnit: true)
        for case .error(let text) in replies.dropLast() { throw RedisError(reply: text, from: address) }
        guard let results = try checked(replies.last ?? .null).array else {
            throw RedisError(.protocolError, "Redis at \(address) answered EXEC with something else than a list")
        }
        return results
    }

    /// Waits for pending commands, within the connection timeout, and closes; later commands fail with `.closed`.
    package func close() async {
        await withCheckedContinuation { close($0) }
    }

    private func close(_ continuation: CheckedContinuation<Void, Never>?) {
        switch servers {
        case .one(let lane): lane.close(continuation)
        case .cluster(let cluster): cluster.close(continuation)
        }
    }

    func exchange(
        _ batch: CommandBatch, timeout: Duration? = nil, isUnit: Bool = false, near key: String? = nil
    ) async throws(RedisError) -> [RedisValue] {
        guard batch.count > 0 else { return [] }
        guard !Task.isCancelled else { throw Exchange.cancelled }
        let deadline = Deadline.after(timeout ?? commandTimeout)
        switch servers {
        case .one(let lane): return try await lane.start(batch, until: deadline).replies()
        case .cluster(let cluster):
            return try await cluster.exchange(batch, isUnit: isUnit, place: key, until: deadline)
        }
    }

    /// Returns a reply, or throws an error reply as an error.
    package func checked(_ reply: RedisValue) throws(RedisError) -> RedisValue {
        if case .error(let text) = reply { throw RedisError(reply: text, from: address) }
        return reply
    }

    /// Returns replies, or throws the first error reply as an error; the other commands may have been carried out then.
    @discardableResult
    package func checked(_ replies: [RedisValue]) throws(RedisError) -> [RedisValue] {
        for reply in replies { _ = try checked(reply) }
        return replies
    }
}

/// Calls Redis again after transient failures, with growing pauses, until `limit` is over.
///
/// Use it only for calls that may be carried out twice.
/// - Throws: the last failure.
package func withRetry<Answer>(
    for limit: Duration, backoff: Backoff = Backoff(first: .milliseconds(50), longest: .seconds(2)),
    _ call: () async throws(RedisError) -> Answer
) async throws(RedisError) -> Answer {
    let end = ContinuousClock.now + limit
    var backoff = backoff
    while true {
        do throws(RedisError) {
            return try await call()
        } catch {
            let pause = backoff.next()
            guard error.isTransient, ContinuousClock.now + pause < end else { throw error }
            guard (try? await Task.sleep(for: pause)) != nil else {
                throw Exchange.cancelled
            }
        }
    }
}

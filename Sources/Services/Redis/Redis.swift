/// A connection to a Redis server, shared by any number of tasks.
///
/// It connects at the first command and again after it was lost. One thread owns it; what concurrent tasks send goes out
/// together. Commands that were under way when it was lost fail with `.unreachable` and are never repeated behind the
/// caller's back; see `withRetry`. Commands that wait in the server (`BLPOP`, `XREADGROUP BLOCK`) hold up all behind
/// them, and `SUBSCRIBE`, `SELECT`, `MONITOR` change what the connection is: give the first a `Redis` of their own, and
/// do not use the others.
package final class Redis: Sendable {
    package let address: RedisAddress
    private let commandTimeout: Duration
    private let lane: Lane

    /// - Parameter clientName: what `CLIENT LIST` shows.
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
        lane = Lane(address: address, clientName: clientName, connectTimeout: connectTimeout, prepare: prepare)
    }

    deinit { lane.close() }

    /// Sends one command.
    /// - Throws: an error reply too.
    @discardableResult
    package func send(_ command: RedisArgument...) async throws(RedisError) -> RedisValue {
        try await send(command)
    }

    /// Sends one command; one that waits in the server brings its own timeout, longer than that wait.
    @discardableResult
    package func send(_ command: [RedisArgument], timeout: Duration? = nil) async throws(RedisError) -> RedisValue {
        try checked(try await exchange(CommandBatch([command]), timeout: timeout).first ?? .null)
    }

    /// Sends commands one behind the other without waiting in between; replies in order, refusals among them as `.error`.
    package func pipeline(
        _ commands: [[RedisArgument]], timeout: Duration? = nil
    ) async throws(RedisError) -> [RedisValue] {
        try await exchange(CommandBatch(commands), timeout: timeout)
    }

    /// As `pipeline`, with commands encoded beforehand.
    package func pipeline(_ batch: CommandBatch, timeout: Duration? = nil) async throws(RedisError) -> [RedisValue] {
        try await exchange(batch, timeout: timeout)
    }

    /// Runs commands in one atomic step (`MULTI` … `EXEC`); replies in order, failures of single ones as `.error`.
    /// - Throws: when the server refuses a command of them: then it has run none.
    package func transaction(
        _ commands: [[RedisArgument]], timeout: Duration? = nil
    ) async throws(RedisError) -> [RedisValue] {
        guard !commands.isEmpty else { return [] }
        let replies = try await exchange(CommandBatch([["MULTI"]] + commands + [["EXEC"]]), timeout: timeout)
        for case .error(let text) in replies.dropLast() { throw RedisError(reply: text, from: address) }
        guard let results = try checked(replies.last ?? .null).array else {
            throw RedisError(.protocolError, "Redis at \(address) answered EXEC with something else than a list")
        }
        return results
    }

    /// Waits for what is under way, within limits, and closes; later commands fail with `.closed`.
    package func close() async {
        await withCheckedContinuation { lane.close($0) }
    }

    func exchange(_ batch: CommandBatch, timeout: Duration?) async throws(RedisError) -> [RedisValue] {
        guard batch.count > 0 else { return [] }
        let exchange = Exchange(batch, deadline: .after(timeout ?? commandTimeout))
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                exchange.attach(continuation)
                if !exchange.isFinished { lane.submit(exchange) }
            }
        } onCancel: {
            exchange.finish(.failure(RedisError(.cancelled, "the wait for Redis was cancelled")))
        }
        return try outcome.get()
    }

    /// An error reply becomes an error.
    package func checked(_ reply: RedisValue) throws(RedisError) -> RedisValue {
        if case .error(let text) = reply { throw RedisError(reply: text, from: address) }
        return reply
    }
}

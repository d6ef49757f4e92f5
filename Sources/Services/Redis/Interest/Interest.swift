import JSON

/// Lets one of several waiters do a piece of work: all waiters that joined before it was done receive its result, success or failure.
///
/// It works across processes and hosts. A waiter need not keep a connection: it is a name that joins again when it is woken or when the
/// owner's lease is over. An owner that dies loses its lease, and the next waiter to join takes over.
package struct Interest: Sendable {
    /// Tells a waiter what to do.
    package enum Answer: Sendable {
        /// The waiter owns the work: it does it and then calls `complete` or `abandon`.
        case own(Ownership)
        /// The work is done, with this result. Each waiter receives it once.
        case result([UInt8])
        /// Another waiter owns the work: join again when woken, or after this time, when the owner's lease ends.
        case wait(Duration)
    }

    private static let rememberedSeconds: Int64 = 3600

    private let redis: Redis
    private let name: String
    private let lease: Duration

    /// - Parameters:
    ///   - name: the kind of work; one address can have several.
    ///   - lease: the time after which a dead owner loses the work.
    package init(_ redis: Redis, name: String, lease: Duration = .seconds(30)) {
        (self.redis, self.name, self.lease) = (redis, name, lease)
    }

    /// Joins the interest in an address. The same waiter may join any number of times. An owner that joins again, for instance because
    /// its event was claimed anew, becomes the owner again, and its earlier ownership is void.
    ///
    /// - Parameters:
    ///   - waiter: a name that is unique among all processes.
    ///   - mayOwn: false for a waiter that cannot do the work and only waits for its result.
    package func join(
        _ address: String, waiter: Waiter, mayOwn: Bool = true
    ) async throws(RedisError) -> Answer {
        let keys = InterestKeys(address: address, name: name)
        let reply = try await redis.run(
            InterestScripts.join,
            keys: [keys.owner, keys.token, keys.waiters, keys.waiterResults + waiter.rawValue, keys.kept],
            arguments: [
                .text(waiter.rawValue), .integer(lease.milliseconds), mayOwn ? 1 : 0, .text(keys.results),
                .integer(Interest.rememberedSeconds),
            ])
        switch (reply.array?.first?.int, reply.array?.last) {
        case (0, let token?):
            let lease = Lease(token: token.int ?? 0, duration: lease, redis: redis, keys: keys, holder: waiter.rawValue)
            return .own(Ownership(lease: lease))
        case (1, .bytes(let result)): return .result(result)
        case (2, let rest?): return .wait(.milliseconds(rest.int ?? 0))
        default: throw RedisError(.protocolError, "Redis at \(redis.address) returned an unexpected answer to a script")
        }
    }

    /// Forgets the result that is kept for later waiters.
    package func forget(_ address: String) async throws(RedisError) {
        try await redis.send("DEL", .text(InterestKeys(address: address, name: name).kept))
    }

    /// Removes a waiter.
    package func leave(_ address: String, waiter: Waiter) async throws(RedisError) {
        try await redis.send("ZREM", .text(InterestKeys(address: address, name: name).waiters), .text(waiter.rawValue))
    }
}

/// Represents the right to do the work on an address, for as long as its lease lasts.
package struct Ownership: Sendable {
    package let lease: Lease

    /// Publishes the result to all waiters and releases the address, in one step.
    ///
    /// - Parameter keptFor: the time for which later waiters receive the same result.
    /// - Returns: the waiters, to be woken; nil if the lease was lost to another owner, and nothing was published.
    package func complete(_ result: [UInt8], keptFor: Duration = .zero) async throws(RedisError) -> [Waiter]? {
        let keys = lease.keys
        let reply = try await lease.redis.run(
            InterestScripts.complete,
            keys: [keys.owner, keys.token, keys.waiters, keys.kept, keys.results + "\(lease.token)"],
            arguments: [
                .integer(lease.token), .bytes(result), .integer(keptFor.milliseconds), .text(keys.waiterResults),
            ])
        return reply.array?.compactMap { $0.string.map(Waiter.init) }
    }

    /// Releases the address without a result.
    ///
    /// - Returns: the longest-waiting waiter, to be woken: it becomes the owner.
    package func abandon() async throws(RedisError) -> [Waiter] {
        let keys = lease.keys
        let reply = try await lease.redis.run(
            InterestScripts.abandon, keys: [keys.owner, keys.token, keys.waiters], arguments: [.integer(lease.token)])
        return reply.array?.compactMap { $0.string.map(Waiter.init) } ?? []
    }
}

/// Builds the names of the keys of one address; see docs/coordination.md.
struct InterestKeys: Sendable {
    private let prefix: String

    init(address: String, name: String) { prefix = "tgpipe:{\(HashTag.escaped(address))}:\(name):" }

    var owner: String { prefix + "owner" }
    var token: String { prefix + "token" }
    var waiters: String { prefix + "waiters" }
    /// The key of the last result, for later waiters.
    var kept: String { prefix + "kept" }
    /// The prefix of the keys of results; a token follows.
    var results: String { prefix + "result:" }
    /// The prefix of the keys of results for single waiters; the waiter's name follows.
    var waiterResults: String { prefix + "told:" }
}

/// Names an event that waits for work of another process: an event in a queue, or in a process that reads a pipe.
///
/// The name is stored in Redis beside the awaited work; `Runtime.wake` reads it.
package struct Waiter: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    package let rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }

    package var description: String { rawValue }
}

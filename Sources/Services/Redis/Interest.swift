/// Many ask for the same thing, and one of them does the work: all who asked before it was done are told what came of
/// it, success or failure alike.
///
/// It works over processes and hosts. Nobody has to stay: a waiter is a name under which it asks again, when it is woken or when
/// the owner's lease is over. An owner that dies loses its lease, and whoever asks next takes over.
package struct Interest: Sendable {
    /// What somebody who asks has to do.
    package enum Answer: Sendable {
        /// The work; then `complete` or `abandon`.
        case own(Ownership)
        /// Nothing: this is what came of it. It is told once.
        case told([UInt8])
        /// Ask again when woken, or after so long, when the owner's lease would be over.
        case wait(Duration)
    }

    private static let rememberedSeconds: Int64 = 3600

    private let redis: Redis
    private let name: String
    private let lease: Duration

    /// - Parameters:
    ///   - name: of the kind of work, so that one address can have several.
    ///   - lease: how long a dead owner is believed in.
    package init(_ redis: Redis, name: String, lease: Duration = .seconds(30)) {
        (self.redis, self.name, self.lease) = (redis, name, lease)
    }

    /// Asks for the work on an address. The same waiter may ask as often as it likes; an owner that asks again, as it does
    /// when its event was handed out anew, is the owner again, and what it had before is void.
    ///
    /// - Parameters:
    ///   - waiter: its name, unique among all processes.
    ///   - mayOwn: false for somebody who cannot do the work, and only wants to hear of it.
    package func join(
        _ address: String, waiter: Waiter, mayOwn: Bool = true
    ) async throws(RedisError) -> Answer {
        let keys = InterestKeys(address: address, name: name)
        let reply = try await redis.run(
            InterestScripts.join, keys: [keys.owner, keys.token, keys.waiters, keys.told + waiter.rawValue, keys.kept],
            arguments: [
                .text(waiter.rawValue), .integer(lease.wholeMilliseconds), mayOwn ? 1 : 0, .text(keys.results),
                .integer(Interest.rememberedSeconds),
            ])
        switch (reply.array?.first?.int, reply.array?.last) {
        case (0, let token?):
            let lease = Lease(token: token.int ?? 0, duration: lease, redis: redis, keys: keys, holder: waiter.rawValue)
            return .own(Ownership(lease: lease))
        case (1, .bytes(let result)): return .told(result)
        case (2, let rest?): return .wait(.milliseconds(rest.int ?? 0))
        default: throw RedisError(.protocolError, "Redis at \(redis.address) answered a script with something else")
        }
    }

    /// Forgets the result that is kept for those who ask later.
    package func forget(_ address: String) async throws(RedisError) {
        try await redis.send("DEL", .text(InterestKeys(address: address, name: name).kept))
    }

    /// Takes a waiter's name away again.
    package func leave(_ address: String, waiter: Waiter) async throws(RedisError) {
        try await redis.send("ZREM", .text(InterestKeys(address: address, name: name).waiters), .text(waiter.rawValue))
    }
}

/// The right to do the work on an address, as long as its lease lasts.
package struct Ownership: Sendable {
    package let lease: Lease

    /// Tells all who wait what came of the work, and gives the address free, in one step.
    ///
    /// - Parameters:
    ///   - keptFor: for how long those who ask later are told the same.
    /// - Returns: who waited, to be woken; nil when the lease was lost to another owner: then nobody was told.
    package func complete(_ result: [UInt8], keptFor: Duration = .zero) async throws(RedisError) -> [Waiter]? {
        let keys = lease.keys
        let reply = try await lease.redis.run(
            InterestScripts.complete,
            keys: [keys.owner, keys.token, keys.waiters, keys.kept, keys.results + "\(lease.token)"],
            arguments: [
                .integer(lease.token), .bytes(result), .integer(keptFor.wholeMilliseconds), .text(keys.told),
            ])
        return reply.array?.compactMap { $0.string.map(Waiter.init) }
    }

    /// Gives the address free without a result.
    ///
    /// - Returns: who has waited longest, to be woken: it becomes the owner.
    package func abandon() async throws(RedisError) -> [Waiter] {
        let keys = lease.keys
        let reply = try await lease.redis.run(
            InterestScripts.abandon, keys: [keys.owner, keys.token, keys.waiters], arguments: [.integer(lease.token)])
        return reply.array?.compactMap { $0.string.map(Waiter.init) } ?? []
    }
}

/// What is kept of one address; see docs/coordination.md.
struct InterestKeys: Sendable {
    private let prefix: String

    init(address: String, name: String) { prefix = "tgpipe:{\(HashTag.escaped(address))}:\(name):" }

    var owner: String { prefix + "owner" }
    var token: String { prefix + "token" }
    var waiters: String { prefix + "waiters" }
    /// The last result, for those who ask later.
    var kept: String { prefix + "kept" }
    /// What the names of results begin with; a token follows.
    var results: String { prefix + "result:" }
    /// What the names of notes to waiters begin with; the waiter follows.
    var told: String { prefix + "told:" }
}

extension Duration {
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}

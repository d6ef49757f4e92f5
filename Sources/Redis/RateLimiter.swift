/// Counts events by key in Redis, for all processes and machines together, by Redis's own clock.
public struct RateLimiter: Sendable {
    public let rule: RateLimit
    private let redis: Redis
    private let script: RedisScript
    private let keySuffixes: [String]

    public init(_ redis: Redis, _ rule: RateLimit) {
        self.redis = redis
        self.rule = rule
        (script, keySuffixes) = RateScripts.script(for: rule.algorithm)
    }

    /// Decides on one event, in one atomic step.
    public func decide(_ key: String, _ mode: RateMode = .checkAndCount) async throws(RedisError) -> RateDecision {
        try await decide([key], mode)[0]
    }

    /// Decides on many events at once, each in one atomic step, in order.
    public func decide(
        _ keys: [String], _ mode: RateMode = .checkAndCount, timeout: Duration? = nil
    ) async throws(RedisError) -> [RateDecision] {
        let prefix = "tgpipe:rate:\(rule.name):{"
        let arguments = encodedArguments(mode)
        let replies = try await redis.run(script, count: keys.count, timeout: timeout) { index, hash, batch in
            batch.begin(arguments: 3 + keySuffixes.count + 4)
            batch.add("EVALSHA")
            batch.add(hash)
            batch.add(Int64(keySuffixes.count))
            let key = HashTag.escaped(keys[index])
            for suffix in keySuffixes { batch.add(joining: prefix, key, suffix) }
            batch.addEncoded(arguments)
        }
        var decisions: [RateDecision] = []
        decisions.reserveCapacity(replies.count)
        for reply in replies {
            guard let number = try redis.checked(reply).int else {
                throw RedisError(.protocolError, "Redis at \(redis.address) answered a script with no number")
            }
            decisions.append(RateDecision(packed: number))
        }
        return decisions
    }

    private func encodedArguments(_ mode: RateMode) -> [UInt8] {
        var batch = CommandBatch()
        batch.add(mode.rawValue)
        batch.add(Int64(rule.limit))
        batch.add(rule.windowMilliseconds)
        batch.add(Int64(rule.burst))
        return batch.bytes
    }
}

/// Counts events by key in Redis, for all processes and machines together, by Redis's own clock.
package struct RateLimiter: Sendable {
    package let rule: RateLimit
    private let redis: Redis
    private let script: RedisScript
    private let keySuffixes: [String]

    package init(_ redis: Redis, _ rule: RateLimit) {
        self.redis = redis
        self.rule = rule
        (script, keySuffixes) = RateScripts.script(for: rule.algorithm)
    }

    /// Decides on one event, in one atomic step.
    package func decide(_ key: String, _ mode: RateMode = .checkAndCount) async throws(RedisError) -> RateDecision {
        try await decide([key], mode)[0]
    }

    /// Decides on many events at once, each in one atomic step, in order.
    package func decide(
        _ keys: [String], _ mode: RateMode = .checkAndCount, timeout: Duration? = nil
    ) async throws(RedisError) -> [RateDecision] {
        let runs = stride(from: 0, to: keys.count, by: Self.eventsPerRun).map {
            keys[$0..<min(keys.count, $0 + Self.eventsPerRun)]
        }
        var decisions: [RateDecision] = []
        decisions.reserveCapacity(keys.count)
        for (run, reply) in zip(runs, try await replies(to: runs, mode, timeout)) {
            if case .error(let text) = reply, text.hasPrefix("CROSSSLOT") {
                // A cluster runs no script over the keys of several events, and refused this one before it began.
                for reply in try await replies(to: run.map { [$0] }, mode, timeout) {
                    decisions += try self.decisions(of: reply, count: 1)
                }
            } else {
                decisions += try self.decisions(of: reply, count: run.count)
            }
        }
        return decisions
    }

    /// Returns the Redis key of an event's key, without the suffix of the algorithm.
    static func key(_ rule: RateLimit, _ event: String) -> String {
        "tgpipe:rate:\(rule.name):{\(HashTag.escaped(event))"
    }

    /// Notes requests that were counted, so that those which fail can be given back.
    package func note(_ counted: [RateRefund.Counted], timeout: Duration? = nil) async throws(RedisError) {
        try await RateRefund(redis).note(counted, for: rule, timeout: timeout)
    }

    /// - Parameter runs: the keys of each run of the script. The server serves no other client during a run.
    private func replies(
        to runs: [ArraySlice<String>], _ mode: RateMode, _ timeout: Duration?
    ) async throws(RedisError) -> [RedisValue] {
        let prefix = "tgpipe:rate:\(rule.name):{"
        let arguments = encodedArguments(mode)
        return try await redis.run(script, count: runs.count, timeout: timeout) { run, hash, batch in
            let words = runs[run].count * keySuffixes.count
            batch.begin(arguments: 3 + words + 4)
            batch.add("EVALSHA")
            batch.add(hash)
            batch.add(Int64(words))
            for event in runs[run] {
                let key = HashTag.escaped(event)
                for suffix in keySuffixes { batch.add(joining: prefix, key, suffix) }
            }
            batch.addEncoded(arguments)
        }
    }

    private func decisions(of reply: RedisValue, count: Int) throws(RedisError) -> [RateDecision] {
        let numbers = try redis.checked(reply).array?.compactMap(\.int) ?? []
        guard numbers.count == count else {
            throw RedisError(.protocolError, "Redis at \(redis.address) returned an unexpected answer to a script")
        }
        return numbers.map { RateDecision(packed: $0) }
    }

    /// The number of events that one run of the script decides on, which takes well under a millisecond.
    private static let eventsPerRun = 32

    private func encodedArguments(_ mode: RateMode) -> [UInt8] {
        var batch = CommandBatch()
        batch.add(mode.rawValue)
        batch.add(Int64(rule.limit))
        batch.add(rule.windowMilliseconds)
        batch.add(Int64(rule.burst))
        return batch.bytes
    }
}

/// Notes which limits counted a request, so that a request that fails can be given back: a limit counts meaningful
/// actions only.
///
/// `tgpipe:correlation:<request>:counted` is a list with one entry for each limit: `ALGORITHM LIMIT INTERVAL KEY`.
package struct RateRefund: Sendable {
    /// A request that a limit has counted.
    package struct Counted: Sendable {
        /// The correlation id of the request.
        let request: String
        /// The key that it was counted by.
        let key: String

        package init(request: String, key: String) { (self.request, self.key) = (request, key) }
    }

    private let redis: Redis

    package init(_ redis: Redis) { self.redis = redis }

    /// Notes requests that a limit has just counted, in one round trip.
    package func note(_ counted: [Counted], for rule: RateLimit, timeout: Duration? = nil) async throws(RedisError) {
        let suffix = RateScripts.script(for: rule.algorithm).keySuffixes[0]
        // A token bucket's interval in microseconds.
        let interval = Double(rule.windowMilliseconds) * 1000 / Double(rule.limit)
        let commands = counted.flatMap { counted -> [[RedisArgument]] in
            let key = RedisArgument.text(RateRefund.key(counted.request))
            let entry =
                "\(rule.algorithm.rawValue) \(rule.limit) \(interval) \(RateLimiter.key(rule, counted.key))\(suffix)"
            return [["RPUSH", key, .text(entry)], ["PEXPIRE", key, .integer(rule.windowMilliseconds)]]
        }
        for reply in try await redis.pipeline(commands, timeout: timeout) { _ = try redis.checked(reply) }
    }

    /// Gives a failed request back to all limits that counted it. Only the first call for a request has an effect.
    package func giveBack(_ request: String) async throws(RedisError) {
        let key = RedisArgument.text(RateRefund.key(request))
        let replies = try await redis.transaction([["LRANGE", key, 0, -1], ["DEL", key]])
        for entry in replies.first?.array ?? [] {
            let words = entry.string?.split(separator: " ", maxSplits: 3).map(String.init) ?? []
            guard words.count == 4 else { continue }
            _ = try await redis.run(
                RateRefund.refund, keys: [words[3]], arguments: words.prefix(3).map { .text($0) })
        }
    }

    private static func key(_ request: String) -> String { "tgpipe:correlation:\(request):counted" }

    /// Takes one event out of a count. Arguments: the algorithm, the limit, and the interval of a token bucket in microseconds.
    ///
    /// Refusals raise the counter of a fixed window above the limit, so the counter says no more than that the limit is used up.
    private static let refund = RedisScript(
        """
        local key, algorithm = KEYS[1], ARGV[1]
        local call = redis.call
        if algorithm == 'fixed' then
          local rest = call('PTTL', key)
          local used = math.min(tonumber(call('GET', key) or 0), tonumber(ARGV[2]))
          if rest > 0 and used > 0 then call('SET', key, used - 1, 'PX', rest) end
        elseif algorithm == 'sliding' then
          call('RPOP', key)
        else
          local time = call('TIME')
          local full = tonumber(call('GET', key) or 0) - tonumber(ARGV[3])
          local rest = math.ceil((full - time[1] * 1000000 - time[2]) / 1000)
          if rest > 0 then call('SET', key, full, 'PX', rest) else call('DEL', key) end
        end
        return 1
        """)
}

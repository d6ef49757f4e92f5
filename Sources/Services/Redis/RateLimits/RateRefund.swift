/// Notes which limits counted a request, so that a request that fails can be given back: a limit counts meaningful
/// actions only.
///
/// `tgpipe:correlation:<request>:limits` is a text with one line for each limit: `ALGORITHM LIMIT INTERVAL KEY`.
package struct RateRefund: Sendable {
    private let redis: Redis

    package init(_ redis: Redis) { self.redis = redis }

    /// Notes requests that a limit has just counted.
    ///
    /// One plain command for each request serves the common case of one limit. Further limits of a request take a second round trip.
    /// - Parameter counted: the correlation id of each request, and the key in Redis that it was counted by.
    func note(
        _ counted: [(request: String, key: String)], for rule: RateLimit, timeout: Duration? = nil
    ) async throws(RedisError) {
        // A token bucket's interval in microseconds.
        let interval = Double(rule.windowMilliseconds) * 1000 / Double(rule.limit)
        let start = "\(rule.algorithm.rawValue) \(rule.limit) \(interval) "
        var batch = CommandBatch()
        for (request, key) in counted {
            batch.begin(arguments: 6)
            batch.add("SET")
            batch.add(joining: Self.prefix, request, Self.suffix)
            batch.add(joining: start, key, "\n")
            batch.add("PX")
            batch.add(rule.windowMilliseconds)
            batch.add("NX")
        }
        let replies = try await redis.pipeline(batch, timeout: timeout)
        var further: [ScriptCall] = []
        for ((request, key), reply) in zip(counted, replies) where try redis.checked(reply).isNull {
            further.append(
                ScriptCall(
                    keys: [Self.key(request)], arguments: ["\(start)\(key)\n", .integer(rule.windowMilliseconds)]))
        }
        guard !further.isEmpty else { return }
        for reply in try await redis.run(Self.addition, further, timeout: timeout) { _ = try redis.checked(reply) }
    }

    /// Gives a failed request back to all limits that counted it. Only the first call for a request has an effect.
    package func giveBack(_ request: String) async throws(RedisError) {
        let key = RedisArgument.text(Self.key(request))
        let replies = try await redis.transaction([["GET", key], ["DEL", key]])
        for line in replies.first?.string?.split(separator: "\n") ?? [] {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            guard words.count == 4 else { continue }
            _ = try await redis.run(Self.refund, keys: [words[3]], arguments: words.prefix(3).map { .text($0) })
        }
    }

    private static let prefix = "tgpipe:correlation:"
    private static let suffix = ":limits"
    private static func key(_ request: String) -> String { prefix + request + suffix }

    /// Adds a line to the note of a request, which then lives as long as the longest of its windows. Arguments: the line, and the window
    /// in milliseconds.
    private static let addition = RedisScript(
        """
        local rest = redis.call('PTTL', KEYS[1])
        redis.call('APPEND', KEYS[1], ARGV[1])
        redis.call('PEXPIRE', KEYS[1], math.max(rest, tonumber(ARGV[2])))
        return 1
        """)

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

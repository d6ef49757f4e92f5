/// Notes which limits counted a request, so that a request that fails can be given back: a limit counts meaningful
/// actions only.
///
/// `tgpipe:counted:<bucket>` is a hash from a request to a text with one line for each limit: `ALGORITHM LIMIT INTERVAL KEY`.
/// The bucket is the first ten characters of the request's correlation id. Ids of version 7 begin with their time, so that a bucket
/// holds the requests of four seconds: a hash of many requests costs a quarter of a key for each.
package struct RateRefund: Sendable {
    private let redis: Redis

    package init(_ redis: Redis) { self.redis = redis }

    /// Notes requests that a limit has just counted, in one round trip.
    ///
    /// - Parameter counted: the correlation id of each request, and the key in Redis that it was counted by.
    func note(
        _ counted: [(request: String, key: String)], for rule: RateLimit, timeout: Duration? = nil
    ) async throws(RedisError) {
        // A token bucket's interval in microseconds.
        let interval = Double(rule.windowMilliseconds) * 1000 / Double(rule.limit)
        let start = "\(rule.algorithm.rawValue) \(rule.limit) \(interval) "
        var places: [String: Int] = [:]
        var calls: [ScriptCall] = []
        for (request, key) in counted {
            let bucket = Self.bucket(of: request)
            var place = places[bucket]
            if let known = place, calls[known].arguments.count >= 2 * Self.mostRequests { place = nil }
            let index = place ?? calls.count
            if place == nil {
                places[bucket] = index
                calls.append(
                    ScriptCall(keys: [bucket], arguments: [.integer(rule.windowMilliseconds), .text(start)]))
            }
            calls[index].arguments += [.text(request), .text(key)]
        }
        try redis.checked(try await redis.run(Self.addition, calls, timeout: timeout))
    }

    /// Gives a failed request back to all limits that counted it. Only the first call for a request has an effect.
    package func giveBack(_ request: String) async throws(RedisError) {
        let bucket = RedisArgument.text(Self.bucket(of: request))
        let replies = try await redis.transaction([
            ["HGET", bucket, .text(request)], ["HDEL", bucket, .text(request)],
        ])
        for line in replies.first?.string?.split(separator: "\n") ?? [] {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            guard words.count == 4 else { continue }
            _ = try await redis.run(Self.refund, keys: [words[3]], arguments: words.prefix(3).map { .text($0) })
        }
    }

    private static func bucket(of request: String) -> String { "tgpipe:counted:\(request.prefix(10))" }

    /// The number of requests that one run of the script notes. Lua takes no more than some thousand arguments.
    private static let mostRequests = 256

    /// Adds lines to the notes of requests. A bucket lives as long as the longest window of its limits. Arguments: the window in
    /// milliseconds, the beginning of all lines, then each request and the key that it was counted by.
    private static let addition = RedisScript(
        """
        local bucket, window, start = KEYS[1], tonumber(ARGV[1]), ARGV[2]
        local call = redis.call
        for index = 3, #ARGV, 2 do
          local request, line = ARGV[index], start .. ARGV[index + 1] .. '\\n'
          if call('HSETNX', bucket, request, line) == 0 then
            call('HSET', bucket, request, call('HGET', bucket, request) .. line)
          end
        end
        if call('PTTL', bucket) < window then call('PEXPIRE', bucket, window) end
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

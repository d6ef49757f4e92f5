/// The scripts behind `RateLimiter`. Arguments: mode, limit, window in milliseconds, burst; the answer: see
/// `RateDecision.init(packed:)`.
enum RateScripts {
    /// The script, and what follows the event's key in the names of the keys that it takes.
    static func script(for algorithm: RateLimit.Algorithm) -> (RedisScript, keySuffixes: [String]) {
        switch algorithm {
        case .fixed: (fixed, ["}"])
        case .sliding: (sliding, ["}:log", "}:refused"])
        case .tokenBucket: (tokenBucket, ["}:bucket", "}:refused"])
        }
    }

    /// A counter that lives as long as the window. A refusal counts one beyond the limit, which marks the first one.
    private static let fixed = RedisScript(
        """
        local key, mode, limit, window = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
        local used
        if mode == 'check-and-count' then
          used = redis.call('INCR', key)
          if used == 1 then redis.call('PEXPIRE', key, window) end
          if used <= limit then return limit - used end
        else
          used = tonumber(redis.call('GET', key) or 0)
          if mode == 'count' then
            if used >= limit then return 0 end
            used = redis.call('INCR', key)
            if used == 1 then redis.call('PEXPIRE', key, window) end
            return limit - used
          end
          if used < limit then return limit - used end
          used = redis.call('INCR', key)
        end
        local rest = redis.call('PTTL', key)
        if rest < 0 then
          redis.call('PEXPIRE', key, window)
          rest = tonumber(window)
        end
        return -2 * math.max(rest, 1) - (used == limit + 1 and 1 or 0)
        """)

    /// A list of the times of what was counted, oldest first, in microseconds.
    private static let sliding = RedisScript(
        """
        local key, mode, limit, window = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local oldest = redis.call('LINDEX', key, 0)
        while oldest and tonumber(oldest) <= now - window * 1000 do
          redis.call('LPOP', key)
          oldest = redis.call('LINDEX', key, 0)
        end
        local used = oldest and redis.call('LLEN', key) or 0
        if mode == 'count' or (mode == 'check-and-count' and used < limit) then
          redis.call('RPUSH', key, now)
          redis.call('PEXPIRE', key, window)
          if used >= limit then
            redis.call('LPOP', key)
            return 0
          end
          return limit - used - 1
        end
        if used < limit then return limit - used end
        local leaving = tonumber(redis.call('LINDEX', key, used - limit))
        local rest = math.ceil((leaving + window * 1000 - now) / 1000)
        local first = redis.call('SET', KEYS[2], 1, 'NX', 'PX', window)
        return -2 * math.max(rest, 1) - (first and 1 or 0)
        """)

    /// The time at which the bucket will be full again, in microseconds: each event moves it by one interval.
    private static let tokenBucket = RedisScript(
        """
        local key, mode, limit, window = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local interval = window * 1000 / limit
        local capacity = ARGV[4] * interval
        local full = math.max(tonumber(redis.call('GET', key) or now), now)
        local after = full + interval
        local over = after - now - capacity
        if mode == 'count' or over <= 0.5 then
          if mode == 'check' then return math.floor((now + capacity - full) / interval + 0.001) end
          after = math.min(after, now + capacity)
          redis.call('SET', key, after, 'PX', math.max(math.ceil((after - now) / 1000), 1))
          return math.floor((now + capacity - after) / interval + 0.001)
        end
        local first = redis.call('SET', KEYS[2], 1, 'NX', 'PX', window)
        return -2 * math.max(math.ceil(over / 1000), 1) - (first and 1 or 0)
        """)
}

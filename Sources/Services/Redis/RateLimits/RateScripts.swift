/// Holds the scripts behind `RateLimiter`. Arguments: mode, limit, window in milliseconds, burst; the keys of one event after those of
/// another. The answer is a number for each event: see `RateDecision.init(packed:)`.
///
/// One run decides on several events, because the call of a script takes most of the time of a decision.
enum RateScripts {
    /// Returns the script of an algorithm, and the suffixes of its keys behind the event's key.
    static func script(for algorithm: RateLimit.Algorithm) -> (RedisScript, keySuffixes: [String]) {
        switch algorithm {
        case .fixed: (fixed, ["}"])
        case .sliding: (sliding, ["}:log", "}:refused"])
        case .tokenBucket: (tokenBucket, ["}:bucket", "}:refused"])
        }
    }

    /// Keeps a counter that lives as long as the window. The first refusal raises it to one above the limit, which marks it.
    private static let fixed = RedisScript(
        """
        local mode, limit, window = ARGV[1], tonumber(ARGV[2]), ARGV[3]
        local call = redis.call
        local function decide(key)
          local used
          if mode == 'check-and-count' then
            used = call('INCR', key)
            if used == 1 then call('PEXPIRE', key, window) end
            if used <= limit then return limit - used end
          else
            used = tonumber(call('GET', key) or 0)
            if mode == 'count' then
              if used >= limit then return 0 end
              used = call('INCR', key)
              if used == 1 then call('PEXPIRE', key, window) end
              return limit - used
            end
            if used < limit then return limit - used end
            used = call('INCR', key)
          end
          local rest = call('PTTL', key)
          if rest < 0 then
            call('PEXPIRE', key, window)
            rest = tonumber(window)
          end
          return -2 * math.max(rest, 1) - (used == limit + 1 and 1 or 0)
        end
        local answers = {}
        for index = 1, #KEYS do answers[index] = decide(KEYS[index]) end
        return answers
        """)

    /// Keeps a list of the times of counted events in microseconds, oldest first.
    private static let sliding = RedisScript(
        """
        local mode, limit, window = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
        local call = redis.call
        local time = call('TIME')
        local now = time[1] * 1000000 + time[2]
        local function decide(key, refused)
          local oldest = call('LINDEX', key, 0)
          while oldest and tonumber(oldest) <= now - window * 1000 do
            call('LPOP', key)
            oldest = call('LINDEX', key, 0)
          end
          local used = oldest and call('LLEN', key) or 0
          if mode == 'count' or (mode == 'check-and-count' and used < limit) then
            call('RPUSH', key, now)
            call('PEXPIRE', key, window)
            if used >= limit then
              call('LPOP', key)
              return 0
            end
            return limit - used - 1
          end
          if used < limit then return limit - used end
          local leaving = tonumber(used == limit and oldest or call('LINDEX', key, used - limit))
          local rest = math.ceil((leaving + window * 1000 - now) / 1000)
          local first = call('SET', refused, 1, 'NX', 'PX', window)
          return -2 * math.max(rest, 1) - (first and 1 or 0)
        end
        local answers = {}
        for index = 1, #KEYS / 2 do answers[index] = decide(KEYS[2 * index - 1], KEYS[2 * index]) end
        return answers
        """)

    /// Keeps the time in microseconds at which the bucket will be full again: each event moves it by one interval.
    private static let tokenBucket = RedisScript(
        """
        local mode, limit, window = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
        local call = redis.call
        local time = call('TIME')
        local now = time[1] * 1000000 + time[2]
        local interval = window * 1000 / limit
        local capacity = ARGV[4] * interval
        local function decide(key, refused)
          local full = math.max(tonumber(call('GET', key) or now), now)
          local after = full + interval
          local over = after - now - capacity
          if mode == 'count' or over <= 0.5 then
            if mode == 'check' then return math.floor((now + capacity - full) / interval + 0.001) end
            after = math.min(after, now + capacity)
            call('SET', key, after, 'PX', math.max(math.ceil((after - now) / 1000), 1))
            return math.floor((now + capacity - after) / interval + 0.001)
          end
          local first = call('SET', refused, 1, 'NX', 'PX', window)
          return -2 * math.max(math.ceil(over / 1000), 1) - (first and 1 or 0)
        end
        local answers = {}
        for index = 1, #KEYS / 2 do answers[index] = decide(KEYS[2 * index - 1], KEYS[2 * index]) end
        return answers
        """)
}

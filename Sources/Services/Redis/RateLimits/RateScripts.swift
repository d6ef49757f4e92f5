/// Holds the scripts behind `RateLimiter`. Arguments: mode, limit, window in milliseconds, burst, then the number of events of each key;
/// the keys in Redis of one event key after those of another. The answer has two numbers for each event key: see `RateAnswer`.
///
/// One run decides on all events of several keys: the call of a script takes most of the time of a decision, and the calls of commands in
/// it most of the rest.
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
    ///
    /// The mode that checks and counts is done with plain commands; see `RateLimiter.askCounters`.
    private static let fixed = RedisScript(
        """
        local mode, limit, window = ARGV[1], tonumber(ARGV[2]), ARGV[3]
        local call = redis.call
        local answers = {}
        for index = 1, #KEYS do
          local key, events = KEYS[index], tonumber(ARGV[4 + index])
          local used = tonumber(call('GET', key) or 0)
          local free, refusal = math.max(limit - used, 0), 0
          if mode == 'count' then
            local counted = math.min(events, free)
            if counted > 0 and call('INCRBY', key, counted) == counted then call('PEXPIRE', key, window) end
          elseif free == 0 then
            call('INCRBY', key, events)
            local rest = call('PTTL', key)
            if rest < 0 then
              call('PEXPIRE', key, window)
              rest = tonumber(window)
            end
            refusal = 2 * math.max(rest, 1) + (used == limit and 1 or 0)
          end
          answers[2 * index - 1], answers[2 * index] = free, refusal
        end
        return answers
        """)

    /// Keeps a list of the times of counted events in microseconds, oldest first.
    private static let sliding = RedisScript(
        """
        local mode, limit, window = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
        local call = redis.call
        local time = call('TIME')
        local now = time[1] * 1000000 + time[2]
        local answers = {}
        for index = 1, #KEYS / 2 do
          local key, events = KEYS[2 * index - 1], tonumber(ARGV[4 + index])
          local oldest = call('LINDEX', key, 0)
          while oldest and tonumber(oldest) <= now - window * 1000 do
            call('LPOP', key)
            oldest = call('LINDEX', key, 0)
          end
          local used = oldest and call('LLEN', key) or 0
          local free, refusal = math.max(limit - used, 0), 0
          local counted, replaced = 0, 0
          if mode ~= 'check' then counted = math.min(events, free) end
          -- Events that have already happened count in place of the oldest ones.
          if mode == 'count' then replaced = math.min(events - counted, math.max(limit, used)) end
          if counted + replaced > 0 then
            local times = {}
            for number = 1, math.min(counted + replaced, 1000) do times[number] = now end
            for left = counted + replaced, 1, -1000 do call('RPUSH', key, unpack(times, 1, math.min(left, 1000))) end
            if replaced > 0 then call('LTRIM', key, replaced, -1) end
            call('PEXPIRE', key, window)
          end
          if mode == 'check-and-count' and events > free or mode == 'check' and free == 0 then
            local leaving = tonumber(used > limit and call('LINDEX', key, used - limit) or oldest or now)
            local rest = math.ceil((leaving + window * 1000 - now) / 1000)
            local first = call('SET', KEYS[2 * index], 1, 'NX', 'PX', window)
            refusal = 2 * math.max(rest, 1) + (first and 1 or 0)
          end
          answers[2 * index - 1], answers[2 * index] = free, refusal
        end
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
        local most = now + ARGV[4] * interval
        local answers = {}
        for index = 1, #KEYS / 2 do
          local key, events = KEYS[2 * index - 1], tonumber(ARGV[4 + index])
          local full = math.max(tonumber(call('GET', key) or now), now)
          local free, refusal = math.max(math.floor((most - full + 0.5) / interval), 0), 0
          local counted = 0
          if mode == 'count' then
            counted = events
          elseif mode == 'check-and-count' then
            counted = math.min(events, free)
          end
          if counted > 0 then
            full = math.min(full + counted * interval, most)
            call('SET', key, full, 'PX', math.max(math.ceil((full - now) / 1000), 1))
          end
          if mode == 'check-and-count' and events > free or mode == 'check' and free == 0 then
            local first = call('SET', KEYS[2 * index], 1, 'NX', 'PX', window)
            refusal = 2 * math.max(math.ceil((full + interval - most) / 1000), 1) + (first and 1 or 0)
          end
          answers[2 * index - 1], answers[2 * index] = free, refusal
        end
        return answers
        """)
}

/// Holds the scripts behind `Interest`. All keys of an address share its hash tag, also those that a script composes.
enum InterestScripts {
    /// Joins a waiter. Keys: owner, token, waiters, this waiter's result, kept. Arguments: waiter, lease in ms, whether it may own, the
    /// prefix of results, the time in seconds for which waiters are remembered. Answers {0, token}, {1, result} or {2, ms}.
    static let join = RedisScript(
        """
        local owner, last, waiters, waiter, lease = KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2]
        for _, key in ipairs({KEYS[4], KEYS[5]}) do
          local token = redis.call('GET', key)
          local result = token and redis.call('GET', ARGV[4] .. token)
          if result then
            redis.call('DEL', KEYS[4])
            redis.call('ZREM', waiters, waiter)
            return {1, result}
          end
        end
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local holder = redis.call('GET', owner)
        local isOthers = holder and string.match(holder, '^%d+ (.*)$') ~= waiter
        if isOthers or ARGV[3] == '0' then
          redis.call('ZADD', waiters, 'NX', now, waiter)
          redis.call('EXPIRE', waiters, ARGV[5])
          -- A key exists to the end of its last millisecond.
          return {2, holder and redis.call('PTTL', owner) + 5 or lease}
        end
        local token = string.format('%.0f', math.max((tonumber(redis.call('GET', last)) or 0) + 1, now))
        redis.call('SET', last, token, 'EX', 604800)
        redis.call('SET', owner, token .. ' ' .. waiter, 'PX', lease)
        redis.call('ZREM', waiters, waiter)
        return {0, token}
        """)

    /// Renews a lease. Keys: owner, token. Arguments: token, holder, lease in ms. Answers 1, or 0 if the lease is lost.
    static let renew = RedisScript(
        """
        local last = redis.call('GET', KEYS[2])
        if last and last ~= ARGV[1] then return 0 end
        redis.call('SET', KEYS[2], ARGV[1], 'EX', 604800)
        redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
        return 1
        """)

    /// Publishes a result. Keys: owner, token, waiters, kept, result. Arguments: token, result, the time in ms for which it is kept, the
    /// prefix of the results of single waiters. Answers the waiters, or nothing if the lease is lost.
    static let complete = RedisScript(
        """
        local last = redis.call('GET', KEYS[2])
        if last and last ~= ARGV[1] then return false end
        redis.call('SET', KEYS[2], string.format('%.0f', tonumber(ARGV[1]) + 1), 'EX', 604800)
        local waiting = redis.call('ZRANGE', KEYS[3], 0, -1)
        redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
        local kept = tonumber(ARGV[3])
        if #waiting > 0 or kept > 0 then
          redis.call('SET', KEYS[5], ARGV[2], 'PX', math.max(kept, 3600000))
        end
        if kept > 0 then redis.call('SET', KEYS[4], ARGV[1], 'PX', kept) end
        for _, waiter in ipairs(waiting) do redis.call('SET', ARGV[4] .. waiter, ARGV[1], 'EX', 3600) end
        return waiting
        """)

    /// Releases the address. Keys: owner, token, waiters. Argument: token. Answers the longest-waiting waiter.
    static let abandon = RedisScript(
        """
        if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {} end
        redis.call('SET', KEYS[2], string.format('%.0f', tonumber(ARGV[1]) + 1), 'EX', 604800)
        redis.call('DEL', KEYS[1])
        return {redis.call('ZPOPMIN', KEYS[3])[1]}
        """)
}

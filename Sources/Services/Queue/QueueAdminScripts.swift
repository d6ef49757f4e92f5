import Redis

/// Holds the scripts for looking at queues and repairing them. Keys: 1 stream, 2 dead.
enum QueueAdminScripts {
    /// Publishes jobs once each. Keys: the stream, and a sorted set of the jobs' names by the time in µs until which they are remembered.
    /// Arguments: that time, which also identifies a repetition of the same call, the time now, the length limit; name and line of each
    /// job. Answer: -1 if the queue is full, else the numbers (from 1) of the jobs that had been submitted before.
    static let submit = RedisScript(
        QueueScripts.trimming + """
            local stream, jobs, till, now, limit = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
            if is_full(stream, (#ARGV - 3) / 2, limit) then return -1 end
            local known = {}
            redis.call('ZREMRANGEBYSCORE', jobs, '-inf', now)
            for i = 4, #ARGV, 2 do
              local before = redis.call('ZSCORE', jobs, ARGV[i])
              if not before then
                redis.call('XADD', stream, '*', 'e', ARGV[i + 1])
                redis.call('ZADD', jobs, till, ARGV[i])
              elseif tonumber(before) ~= tonumber(till) then
                known[#known + 1] = (i - 2) / 2
              end
            end
            local rest = math.ceil((tonumber(till) - now) / 1000)
            if redis.call('PTTL', jobs) < rest then redis.call('PEXPIRE', jobs, string.format('%.0f', rest)) end
            return known
            """)

    /// Redrives dead letters for the group that gave them up. Arguments: their ids. Answer: the number of dead letters found.
    static let redrive = RedisScript(
        """
        local count = 0
        for _, id in ipairs(ARGV) do
          local found = redis.call('XRANGE', KEYS[2], id, id)[1]
          if found then
            local line, group
            for i = 1, #found[2], 2 do
              if found[2][i] == 'e' then line = found[2][i + 1] end
              if found[2][i] == 'group' then group = found[2][i + 1] end
            end
            redis.call('XADD', KEYS[1], '*', 'e', line or '', 'g', group or '')
            redis.call('XDEL', KEYS[2], id)
            count = count + 1
          end
        end
        return count
        """)

    /// Deletes a group and all that is kept for it. Keys: the stream, then the group's own. Argument: the group. Answer: 1, or 0 if there is
    /// no such group.
    static let removeGroup = RedisScript(
        """
        local count = 0
        if redis.call('EXISTS', KEYS[1]) == 1 then count = redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1]) end
        for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
        return count
        """)

    /// Counts a queue's entries. Answer: entries, dead letters, id of the oldest entry; then for each group its name, the number of entries
    /// that no worker has taken, and pairs of a consumer and its number of entries.
    static let stats = RedisScript(
        QueueScripts.trimming + """
            trim(KEYS[1])
            local out = {redis.call('XLEN', KEYS[1]), redis.call('XLEN', KEYS[2]), ''}
            local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
            if first then out[3] = first[1] end
            if redis.call('EXISTS', KEYS[1]) == 0 then return out end
            local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
            for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
              local name, last, lag
              for i = 1, #info, 2 do
                if info[i] == 'name' then name = info[i + 1] end
                if info[i] == 'last-delivered-id' then last = info[i + 1] end
                if info[i] == 'lag' then lag = info[i + 1] end
              end
              if not newest or not is_lower(last, newest[1]) then lag = 0 end
              if not lag then
                -- Servers before 7.0 do not count them.
                lag = #redis.call('XRANGE', KEYS[1], after(last), '+', 'COUNT', 100000)
              end
              local row = {name, lag}
              local summary = redis.call('XPENDING', KEYS[1], name)
              for _, pair in ipairs(summary[4] or {}) do
                row[#row + 1], row[#row + 2] = pair[1], tonumber(pair[2])
              end
              out[#out + 1] = row
            end
            return out
            """)
}

import Redis

/// The scripts behind queues; each is one atomic step.
///
/// Keys: 1 stream, 2 due, 3 failures, 4 woken, 5 nudge, 6 dead, from 7 on the streams of other queues. The first two arguments are the
/// group and the consumer. An entry that nobody works on belongs to the consumer `held` or `retry`, so whoever had it before no longer has.
enum QueueScripts {
    /// What they share.
    static let prelude = """
        local stream, due, failures, woken, nudge, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
        local group, consumer = ARGV[1], ARGV[2]
        local function now()
          local time = redis.call('TIME')
          return time[1] * 1000 + math.floor(time[2] / 1000)
        end
        local function pending(id)
          return redis.call('XPENDING', stream, group, id, id, 1)[1]
        end
        local function is_mine(id, attempt)
          local entry = pending(id)
          return entry and entry[2] == consumer and entry[4] == tonumber(attempt)
        end
        local function in_parts(command, key, words)
          for first = 1, #words, 1000 do
            redis.call(command, key, unpack(words, first, math.min(first + 999, #words)))
          end
        end
        local function forget(id)
          redis.call('XACK', stream, group, id)
          redis.call('ZREM', due, id)
          redis.call('HDEL', failures, id)
        end
        local function look_again()
          redis.call('XADD', nudge, 'MAXLEN', '~', 10, '*', 'n', 1)
        end
        -- Nobody works on it: from then on, anybody may.
        local function put_back(id, owner, attempt, at)
          redis.call('XCLAIM', stream, group, owner, 0, id, 'RETRYCOUNT', attempt, 'JUSTID')
          redis.call('ZADD', due, at, id)
        end

        """

    /// Makes the group, and gives entries that belong to nobody a time from which on they may be taken: one page of them.
    /// Arguments: lease in ms, where to start, the queue's name, the key of all names. Answer: where the next page starts, or nil.
    static let open = RedisScript(
        prelude + """
            local lease, start, name, names = tonumber(ARGV[3]), ARGV[4], ARGV[5], KEYS[7]
            local exists = false
            if redis.call('EXISTS', stream) == 1 then
              for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
                for i = 1, #info, 2 do exists = exists or (info[i] == 'name' and info[i + 1] == group) end
              end
            end
            -- What is there already needs no memory: a full server's queues can be emptied.
            if not exists then
              local made = redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
              if made.err then return made end
              redis.call('SADD', names, name)
            end
            local at = now() + lease
            local page = redis.call('XPENDING', stream, group, start, '+', 500)
            for _, entry in ipairs(page) do
              if not redis.call('ZSCORE', due, entry[1]) then redis.call('ZADD', due, at, entry[1]) end
            end
            if #page < 500 then return false end
            local ms, seq = page[500][1]:match('(%d+)-(%d+)')
            return ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
            """)

    /// Takes what is due, then what is new. Arguments: how many, lease in ms, how many bytes about, whether the worker is idle.
    ///
    /// What has ended two workers is given out alone, to a worker that does nothing else: the next one that it ends takes no other
    /// event's attempts along. Answer: id, attempt and line of each; 1 when such a suspect waits, 2 when it was taken; when nothing was
    /// taken: the id behind which news come, that of the last nudge, and in how many ms something is due (-1: nothing is).
    static let take = RedisScript(
        prelude + """
            local limit, lease, budget, idle = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
            local time = now()
            local out, count, bytes, suspects, alone = {}, 0, 0, 0, false
            local leases = {}
            local function give(id, fields, attempt)
              local line, only = '', nil
              for i = 1, #fields, 2 do
                if fields[i] == 'e' then line = fields[i + 1] end
                if fields[i] == 'g' then only = fields[i + 1] end
              end
              -- A dead letter that was sent round again for another group.
              if only and only ~= group then return forget(id) end
              out[#out + 1], out[#out + 2], out[#out + 3] = id, attempt, line
              leases[#leases + 1], leases[#leases + 2] = time + lease, id
              count, bytes = count + 1, bytes + #line
            end
            for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', time, 'LIMIT', 0, limit)) do
              if bytes >= budget or alone then break end
              local entry = pending(id)
              if not entry then
                forget(id)
              else
                local failed = tonumber((redis.call('HGET', failures, id) or '0'):match('%d+'))
                local suspect = entry[4] - failed >= 2
                if suspect and not (idle and count == 0) then
                  suspects = 1
                else
                  local claimed = redis.call('XCLAIM', stream, group, consumer, 0, id)[1]
                  redis.call('SREM', woken, id)
                  if claimed then give(id, claimed[2], entry[4] + 1) else forget(id) end
                  alone = suspect and claimed
                end
              end
            end
            local step = 1
            while count < limit and bytes < budget and not alone and suspects == 0 do
              local asked = math.min(step, limit - count)
              local got = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', asked, 'STREAMS', stream, '>')
              if not got then break end
              for _, entry in ipairs(got[1][2]) do give(entry[1], entry[2], 1) end
              if #got[1][2] < asked then break end
              step = math.min(step * 4, math.floor((budget - bytes) * count / math.max(bytes, 1)) + 1)
            end
            in_parts('ZADD', due, leases)
            if count > 0 then return {out, alone and 2 or suspects} end
            local last, nudged, wait = '0-0', '0-0', -1
            for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
              local name, id
              for i = 1, #info, 2 do
                if info[i] == 'name' then name = info[i + 1] end
                if info[i] == 'last-delivered-id' then id = info[i + 1] end
              end
              if name == group then last = id end
            end
            local newest = redis.call('XREVRANGE', nudge, '+', '-', 'COUNT', 1)[1]
            if newest then nudged = newest[1] end
            local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
            if first[2] then wait = math.max(0, first[2] - time) end
            return {out, suspects, last, nudged, wait}
            """)

    /// Keeps leases. Arguments: lease in ms, id and attempt of each. Answer: the ids that are no longer this consumer's.
    static let renew = RedisScript(
        prelude + """
            local at, lost = now() + tonumber(ARGV[3]), {}
            for i = 4, #ARGV, 2 do
              if is_mine(ARGV[i], ARGV[i + 1]) then
                -- Also for its own sake: a full server lets a script add only after a write that needs no memory.
                redis.call('XCLAIM', stream, group, consumer, 0, ARGV[i], 'RETRYCOUNT', ARGV[i + 1], 'JUSTID')
                redis.call('ZADD', due, at, ARGV[i])
              else
                lost[#lost + 1] = ARGV[i]
              end
            end
            return lost
            """)

    /// A failure that may pass. Arguments: id, attempt, pause in ms, reason. Answer: whether it was this consumer's.
    static let retry = RedisScript(
        prelude + """
            local id, attempt, pause, reason = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
            if not is_mine(id, attempt) then return 0 end
            local failed = tonumber((redis.call('HGET', failures, id) or '0'):match('%d+'))
            put_back(id, 'retry', attempt, now() + pause)
            redis.call('HSET', failures, id, (failed + 1) .. ' ' .. reason)
            look_again()
            return 1
            """)

    /// It waits to be woken, and this attempt does not count. Arguments: id, attempt, how long in ms. Answer: as `retry`.
    static let hold = RedisScript(
        prelude + """
            local id, attempt, limit = ARGV[3], ARGV[4], tonumber(ARGV[5])
            if not is_mine(id, attempt) then return 0 end
            if redis.call('SREM', woken, id) == 1 then limit = 0 end
            put_back(id, 'held', attempt - 1, now() + limit)
            look_again()
            return 1
            """)

    /// Gives entries back at once, and this attempt does not count. Arguments: id and attempt of each.
    static let release = RedisScript(
        prelude + """
            for i = 3, #ARGV, 2 do
              if is_mine(ARGV[i], ARGV[i + 1]) then put_back(ARGV[i], 'retry', ARGV[i + 1] - 1, now()) end
            end
            look_again()
            return 1
            """)

    /// Wakes entries. Arguments: from the third on their ids.
    static let wake = RedisScript(
        prelude + """
            local time, found = now(), false
            for i = 3, #ARGV do
              local entry = pending(ARGV[i])
              if entry and entry[2] == 'held' then
                redis.call('ZADD', due, time, ARGV[i])
                found = true
              elseif entry and entry[2] ~= 'retry' then
                redis.call('SADD', woken, ARGV[i])
                redis.call('EXPIRE', woken, 3600)
              end
            end
            if found then look_again() end
            return 1
            """)

    /// Takes the consumer's name, and those of consumers that had nothing for a day, from the group.
    static let leave = RedisScript(
        prelude + """
            for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
              local name, pending, idle
              for i = 1, #info, 2 do
                if info[i] == 'name' then name = info[i + 1] end
                if info[i] == 'pending' then pending = info[i + 1] end
                if info[i] == 'idle' then idle = info[i + 1] end
              end
              if pending == 0 and (name == consumer or idle > 86400000) then
                redis.call('XGROUP', 'DELCONSUMER', stream, group, name)
              end
            end
            return 1
            """)
}

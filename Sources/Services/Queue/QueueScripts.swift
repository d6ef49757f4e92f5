import Redis

/// Holds the scripts behind queues; each is one atomic step.
///
/// Keys: 1 stream, 2 due, 3 failures, 4 woken, 5 nudge, 6 dead, 7 chains, 8 the keys of entries, 9 inboxes (see `QueueOrderScripts`), from 10
/// on the streams of other queues. The first two arguments are the group and the consumer. An entry that is held, waits for an attempt or waits
/// for an earlier entry of its key belongs to the consumer `held`, `retry` or `behind`, which takes it from the worker that had it
/// before.
enum QueueScripts {
    /// Functions that all scripts share.
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
        local attempts = {}
        -- Finds the attempts of many entries of this worker with one call, if they lie close together: from the first to the last id. `is_mine`
        -- asks for those that are not among them.
        local function find_attempts(first, last, count)
          for _, entry in ipairs(redis.call('XPENDING', stream, group, first, last, count, consumer)) do
            attempts[entry[1]] = entry[4]
          end
        end
        local function is_mine(id, attempt)
          local current = attempts[id]
          attempts[id] = nil
          if not current then
            local entry = pending(id)
            current = entry and entry[2] == consumer and entry[4]
          end
          return current and current == tonumber(attempt)
        end
        local function in_parts(command, key, words)
          for first = 1, #words, 1000 do
            redis.call(command, key, unpack(words, first, math.min(first + 999, #words)))
          end
        end
        local function look_again()
          redis.call('XADD', nudge, 'MAXLEN', '~', 10, '*', 'n', 1)
        end
        -- Takes the entry from its worker; from `at` on, any worker may take it.
        local function put_back(id, owner, attempt, at)
          redis.call('XCLAIM', stream, group, owner, 0, id, 'RETRYCOUNT', attempt, 'JUSTID')
          redis.call('ZADD', due, at, id)
        end

        """ + QueueOrderScripts.chains + """
            local function forget(id)
              redis.call('XACK', stream, group, id)
              redis.call('ZREM', due, id)
              redis.call('HDEL', failures, id)
              let_next_go(remove_from_chain(id))
            end

            """

    /// Creates the group, and sets a due time for entries without one: a page of 500 pending entries.
    /// Arguments: lease in ms, the page's first id, the queue's name. Key 10: the set of all names. Answer: the next page's first id, or nil.
    static let open = RedisScript(
        prelude + """
            local lease, start, name, names = tonumber(ARGV[3]), ARGV[4], ARGV[5], KEYS[10]
            local exists = false
            if redis.call('EXISTS', stream) == 1 then
              for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
                for i = 1, #info, 2 do exists = exists or (info[i] == 'name' and info[i + 1] == group) end
              end
            end
            -- An existing group needs no memory, so that the queues of a full server can be emptied.
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

    /// Takes entries that are due, then those that waited behind entries of this worker, then new ones. Arguments: number of entries,
    /// lease in ms, approximate number of bytes, whether the worker is idle; the order: `QueueOrder.encoded` (empty:
    /// none), the number of entries of one key at a time, whether those are taken in one step only.
    ///
    /// An entry that has ended two workers (a suspect) is given out alone, to an idle worker: if it ends that worker too, no other
    /// event loses an attempt. Answer: id, attempt and line of each entry; 1 if a suspect waits, 2 if it was taken; if nothing was
    /// taken, also the id behind which new entries come, the id of the last nudge, and the ms until an entry is due (-1: none is).
    static let take = RedisScript(
        prelude + """
            local limit, lease, budget, idle = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
            local rules, per_key, at_once = {}, tonumber(ARGV[8]), ARGV[9] == '1'
            for types, paths in ARGV[7]:gmatch('([^\\t\\n]*)\\t([^\\n]*)\\n') do rules[#rules + 1] = {types, paths} end
            local is_keyed = #rules > 0
            local time = now()
            local out, count, bytes, suspects, alone, is_suspect = {}, 0, 0, 0, false, {}
            local leases, given = {}, {}
            local function has_room() return count < limit and bytes < budget and not alone end
            local function give(id, fields, attempt)
              local line, only = '', nil
              for i = 1, #fields, 2 do
                if fields[i] == 'e' then line = fields[i + 1] end
                if fields[i] == 'g' then only = fields[i + 1] end
              end
              -- A dead letter that was redriven for another group.
              if only and only ~= group then return forget(id) end
              out[#out + 1], out[#out + 2], out[#out + 3] = id, attempt, line
              leases[#leases + 1], leases[#leases + 2] = time + lease, id
              count, bytes, given[id] = count + 1, bytes + #line, true
            end
            -- Answer: false for a suspect that only an idle worker may take.
            local function claim(id, entry)
              local failed = tonumber((redis.call('HGET', failures, id) or '0'):match('%d+'))
              local suspect = entry[4] - failed >= 2
              if suspect and not (idle and count == 0) then
                suspects, is_suspect[id] = 1, true
                return false
              end
              local claimed = redis.call('XCLAIM', stream, group, consumer, 0, id)[1]
              redis.call('SREM', woken, id)
              if claimed then give(id, claimed[2], entry[4] + 1) else forget(id) end
              alone = suspect and claimed
              return true
            end

            """ + QueueOrderScripts.taking + """
                for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', time, 'LIMIT', 0, is_keyed and limit + 200 or limit)) do
                  if not has_room() then break end
                  local entry = not given[id] and pending(id)
                  if given[id] then
                    -- It came with an earlier entry of its key.
                  elseif not entry then
                    forget(id)
                  elseif not take_in_order(id, entry) then
                    claim(id, entry)
                  end
                end
                if has_room() and suspects == 0 then take_inbox() end
                local step, read, read_bytes = 1, 0, 0
                local is_behind = false
                while has_room() and suspects == 0 and read_bytes < budget and read < limit + 200 do
                  local asked = math.min(step, limit - count)
                  local got = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', asked, 'STREAMS', stream, '>')
                  is_behind = got and #got[1][2] == asked
                  if not got then break end
                  for _, entry in ipairs(got[1][2]) do
                    read_bytes = read_bytes + take_new(entry[1], entry[2])
                  end
                  read = read + #got[1][2]
                  if not is_behind then break end
                  step = math.min(step * 4, math.floor(math.max(budget - bytes, 0) * read / math.max(read_bytes, 1)) + 1)
                end
                in_parts('ZADD', due, leases)
                if is_nudged then look_again() end
                if count > 0 then return {out, alone and 2 or suspects} end
                local last, nudged, wait = '0-0', '0-0', -1
                for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
                  local name, id, open
                  for i = 1, #info, 2 do
                    if info[i] == 'name' then name = info[i + 1] end
                    if info[i] == 'last-delivered-id' then id = info[i + 1] end
                    if info[i] == 'pending' then open = info[i + 1] end
                  end
                  if name == group then
                    last = id
                    -- A worker of an older version acknowledges entries and leaves their links.
                    if open == 0 then redis.call('DEL', chains, entry_keys, inboxes) end
                  end
                end
                local newest = redis.call('XREVRANGE', nudge, '+', '-', 'COUNT', 1)[1]
                if newest then nudged = newest[1] end
                local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
                if first[2] then wait = math.max(0, first[2] - time) end
                -- All that was read waits behind other entries; there may be more.
                if is_behind then wait = 0 end
                return {out, suspects, last, nudged, wait}
                """)

    /// Renews leases. Arguments: lease in ms, id and attempt of each entry. Answer: the ids that are no longer this consumer's.
    static let renew = RedisScript(
        prelude + """
            local at, lost = now() + tonumber(ARGV[3]), {}
            for i = 4, #ARGV, 2 do
              if is_mine(ARGV[i], ARGV[i + 1]) then
                -- This write must come first: a full server lets a script add only after a write that needs no memory.
                redis.call('XCLAIM', stream, group, consumer, 0, ARGV[i], 'RETRYCOUNT', ARGV[i + 1], 'JUSTID')
                redis.call('ZADD', due, at, ARGV[i])
              else
                lost[#lost + 1] = ARGV[i]
              end
            end
            return lost
            """)

    /// Makes an entry wait for another attempt. Arguments: id, attempt, pause in ms, reason. Answer: 1, or 0 if the lease was lost.
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

    /// Holds an entry until it is woken; this attempt does not count. Later entries of its key go on, since what it waits for may be
    /// among them. Arguments: id, attempt, longest hold in ms. Answer: see `retry`.
    static let hold = RedisScript(
        prelude + """
            local id, attempt, limit = ARGV[3], ARGV[4], tonumber(ARGV[5])
            if not is_mine(id, attempt) then return 0 end
            if redis.call('SREM', woken, id) == 1 then limit = 0 end
            put_back(id, 'held', attempt - 1, now() + limit)
            let_next_go(remove_from_chain(id))
            look_again()
            return 1
            """)

    /// Puts an entry off; this attempt does not count, and later entries of its key wait behind it. Arguments: id, attempt, pause in ms.
    /// Answer: see `retry`.
    static let postpone = RedisScript(
        prelude + """
            local id, attempt, pause = ARGV[3], ARGV[4], tonumber(ARGV[5])
            if not is_mine(id, attempt) then return 0 end
            put_back(id, 'retry', attempt - 1, now() + pause)
            look_again()
            return 1
            """)

    /// Returns entries to the queue, to be given out in this order; this attempt does not count. Arguments: id and attempt of each entry.
    static let release = RedisScript(
        prelude + """
            local time = now()
            for i = 3, #ARGV, 2 do
              if is_mine(ARGV[i], ARGV[i + 1]) then
                local key = key_in_chain(ARGV[i])
                if key and front(key, 1)[1] ~= ARGV[i] then
                  wait_behind(key, ARGV[i], ARGV[i + 1] - 1)
                else
                  -- Entries that are due at the same time would be given out in the order of their ids as texts. The numbers
                  -- are multiples of 1/4096: a time in ms has no finer fractions, and two others would be rounded to one.
                  put_back(ARGV[i], 'retry', ARGV[i + 1] - 1, time - (#ARGV - 1 - i) / 8192)
                end
              end
            end
            look_again()
            return 1
            """)

    /// Lists up to 5000 unfinished entries of a consumer, or of all. Argument: its name, or an empty one. Answer: id, attempt and consumer of
    /// each.
    static let unfinished = RedisScript(
        prelude + """
            local words = {stream, group, '-', '+', 5000}
            if ARGV[3] ~= '' then words[6] = ARGV[3] end
            local found = {}
            for _, entry in ipairs(redis.call('XPENDING', unpack(words))) do
              found[#found + 1], found[#found + 2], found[#found + 3] = entry[1], entry[4], entry[2]
            end
            return found
            """)

    /// Wakes entries. Arguments: their ids, from the third argument on.
    static let wake = RedisScript(
        prelude + """
            local time, found = now(), false
            for i = 3, #ARGV do
              local entry = pending(ARGV[i])
              if entry and entry[2] == 'held' then
                redis.call('ZADD', due, time, ARGV[i])
                found = true
              elseif entry and is_worker(entry[2]) then
                redis.call('SADD', woken, ARGV[i])
                redis.call('EXPIRE', woken, 3600)
              end
            end
            if found then look_again() end
            return 1
            """)

    /// Removes the consumer from the group, and consumers that have had no entry for a day.
    static let leave = RedisScript(
        prelude + """
            redis.call('ZREMRANGEBYLEX', inboxes, '[' .. consumer .. ' ', '(' .. consumer .. '!')
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

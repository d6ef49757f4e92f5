import Redis

/// Holds the scripts behind `TurnBook`. All keys share the hash tag `{turns}`.
enum TurnScripts {
    /// Names the keys, in the order in which the scripts read them.
    static let keys = [
        "waiting", "running", "users", "records", "waiters", "served", "counter", "workers", "places", "rules", "pace",
    ].map { "tgpipe:{turns}:\($0)" }

    /// Defines the functions that all scripts use, and stands at the beginning of each. Its `advance` gives free turns to those who
    /// wait, and returns the waiters of their events.
    ///
    /// Among the users who have fewer turns than the rules allow, one with the fewest turns is next, among several the one who was
    /// served longest ago, then the one who has waited longest.
    private static let common = """
        local waiting, running, users, records, waiters, served, counter, workers, places, rules, pace = unpack(KEYS)
        local call = redis.call
        local time = call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local function forget(id)
          for _, key in ipairs({users, records, waiters}) do call('HDEL', key, id) end
          return call('ZREM', waiting, id) + call('ZREM', running, id)
        end
        local function owners(ids)
          local found = {}
          for first = 1, #ids, 1000 do
            for _, user in ipairs(call('HMGET', users, unpack(ids, first, math.min(first + 999, #ids)))) do
              found[#found + 1] = user or ''
            end
          end
          return found
        end
        local function capacity()
          local sum, known = 0, false
          for _, worker in ipairs(call('ZRANGEBYSCORE', workers, now, '+inf')) do
            sum, known = sum + tonumber(call('HGET', places, worker) or 0), true
          end
          -- Without a worker there is nothing to wait for but one's own turns.
          return known and sum + tonumber(call('HGET', rules, 'ahead') or 0) or math.huge
        end
        local function advance()
          -- A request whose end nobody has noted must not keep its turn for ever.
          for _, id in ipairs(call('ZRANGEBYSCORE', running, '-inf', now - 86400000)) do forget(id) end
          local ids = call('ZRANGE', waiting, 0, -1)
          if #ids == 0 then
            call('DEL', served)
            return {}
          end
          local busy = call('ZRANGE', running, 0, -1)
          local free = capacity() - #busy
          if free <= 0 then return {} end
          local limit = tonumber(call('HGET', rules, 'per_user') or 1)
          local turns, queues, order, last = {}, {}, {}, {}
          for _, user in ipairs(owners(busy)) do turns[user] = (turns[user] or 0) + 1 end
          for place, user in ipairs(owners(ids)) do
            if not queues[user] then
              queues[user], order[#order + 1] = {first = 1}, user
              last[user] = tonumber(call('HGET', served, user) or 0)
            end
            table.insert(queues[user], {ids[place], place})
          end
          local woken = {}
          while free > 0 do
            local best
            for _, user in ipairs(order) do
              local queue = queues[user]
              local request = queue[queue.first]
              local count = turns[user] or 0
              if request and count < limit then
                local isBetter = not best
                if best then
                  if count ~= best.count then isBetter = count < best.count
                  elseif last[user] ~= last[best.user] then isBetter = last[user] < last[best.user]
                  else isBetter = request[2] < best.request[2] end
                end
                if isBetter then best = {user = user, count = count, request = request} end
              end
            end
            if not best then break end
            local id = best.request[1]
            call('ZREM', waiting, id)
            call('ZADD', running, now, id)
            last[best.user] = call('INCR', counter)
            call('HSET', served, best.user, last[best.user])
            turns[best.user] = best.count + 1
            queues[best.user].first = queues[best.user].first + 1
            woken[#woken + 1] = call('HGET', waiters, id) or ''
            free = free - 1
          end
          return woken
        end

        """

    /// Adds a request, unless it is known. Arguments: id, user, record, waiter, the most that a user may have waiting or 0.
    /// Answers {state, waiters}: 0 for a request that waits, 1 for one that has its turn, 2 for one that is refused.
    static let enter = RedisScript(
        common + """
            local id, user, most = ARGV[1], ARGV[2], tonumber(ARGV[5])
            local isNew = not call('ZSCORE', running, id) and not call('ZSCORE', waiting, id)
            if isNew then
              if most > 0 then
                local own = 0
                for _, other in ipairs(owners(call('ZRANGE', waiting, 0, -1))) do
                  if other == user then own = own + 1 end
                end
                if own >= most then return {2, {}} end
              end
              call('ZADD', waiting, call('INCR', counter), id)
              call('HSET', users, id, user)
              call('HSET', records, id, ARGV[3])
            end
            call('HSET', waiters, id, ARGV[4])
            local woken = advance()
            return {call('ZSCORE', running, id) and 1 or 0, woken}
            """)

    /// Ends requests, and gives their turns to others. Arguments: 1 if their times count for the pace, then the ids.
    /// Answers the waiters.
    static let end = RedisScript(
        common + """
            local ended = 0
            for place = 2, #ARGV do
              local start = call('ZSCORE', running, ARGV[place])
              if start and ARGV[1] == '1' then
                local took = math.max(0, now - start)
                local mean = tonumber(call('GET', pace) or took)
                call('SET', pace, mean * 0.8 + took * 0.2, 'EX', 604800)
              end
              ended = ended + forget(ARGV[place])
            end
            if ended == 0 then return {} end
            return advance()
            """)

    /// Answers {ids that wait, their users, ids that have a turn, their users, the pace in ms or ''}.
    static let look = RedisScript(
        common + """
            local ids, busy = call('ZRANGE', waiting, 0, -1), call('ZRANGE', running, 0, -1)
            return {ids, owners(ids), busy, owners(busy), call('GET', pace) or ''}
            """)

    /// Notes the places of a worker for some time. Arguments: worker, places, ms. Answers the waiters.
    static let offer = RedisScript(
        common + """
            local isNew = not call('ZSCORE', workers, ARGV[1])
            for _, worker in ipairs(call('ZRANGEBYSCORE', workers, '-inf', now - 1)) do call('HDEL', places, worker) end
            call('ZREMRANGEBYSCORE', workers, '-inf', now - 1)
            if ARGV[2] == '0' then
              call('ZREM', workers, ARGV[1])
              call('HDEL', places, ARGV[1])
              return {}
            end
            call('ZADD', workers, now + ARGV[3], ARGV[1])
            call('HSET', places, ARGV[1], ARGV[2])
            if not isNew then return {} end
            return advance()
            """)
}

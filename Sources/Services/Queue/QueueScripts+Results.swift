import Redis

/// The scripts that publish results, end the entries that they came from, and trim streams.
extension QueueScripts {
    /// Functions that trim streams and find whether a queue is full.
    static let trimming = """
        local function is_lower(a, b)
          local ams, aseq = a:match('(%d+)-(%d+)')
          local bms, bseq = b:match('(%d+)-(%d+)')
          ams, bms = tonumber(ams), tonumber(bms)
          return ams < bms or (ams == bms and tonumber(aseq) < tonumber(bseq))
        end
        local function after(id)
          local ms, seq = id:match('(%d+)-(%d+)')
          return ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
        end
        -- Removes the entries that every group has acknowledged; none while there is no group.
        local function trim(key)
          if redis.call('EXISTS', key) == 0 then return 0 end
          local lowest
          for _, info in ipairs(redis.call('XINFO', 'GROUPS', key)) do
            local name, last
            for i = 1, #info, 2 do
              if info[i] == 'name' then name = info[i + 1] end
              if info[i] == 'last-delivered-id' then last = info[i + 1] end
            end
            local first = redis.call('XPENDING', key, name, '-', '+', 1)[1]
            local needed = first and first[1] or after(last)
            if not lowest or is_lower(needed, lowest) then lowest = needed end
          end
          if not lowest then return 0 end
          local trimmed = redis.pcall('XTRIM', key, 'MINID', lowest)
          if type(trimmed) == 'number' then return trimmed end
          -- Redis before 6.2 has no MINID.
          local count = 0
          while true do
            local ids = {}
            for _, entry in ipairs(redis.call('XRANGE', key, '-', lowest, 'COUNT', 500)) do
              if entry[1] ~= lowest then ids[#ids + 1] = entry[1] end
            end
            if #ids == 0 then return count end
            count = count + redis.call('XDEL', key, unpack(ids))
          end
        end
        local function is_full(key, more, limit)
          local length = redis.call('XLEN', key)
          if length + more <= limit or length == 0 then return false end
          length = length - trim(key)
          return length + more > limit and length > 0
        end

        """

    /// Publishes the results of entries and acknowledges the entries. Arguments: the length limit of an output, whether to trim; for each
    /// entry its id, attempt and number of lines, and for each line the number of its output (from 1) and the line. Answer: -1, with
    /// nothing done, if an output is full; otherwise the ids of entries whose leases were lost, whose lines were not published.
    static let finish = RedisScript(
        prelude + trimming + """
            local limit, trims = tonumber(ARGV[3]), ARGV[4] == '1'
            local counts, entries, last = {}, 0, nil
            local at = 5
            while at <= #ARGV do
              entries, last = entries + 1, ARGV[at]
              local lines = tonumber(ARGV[at + 2])
              for i = 0, lines - 1 do
                local output = tonumber(ARGV[at + 3 + 2 * i])
                counts[output] = (counts[output] or 0) + 1
              end
              at = at + 3 + 2 * lines
            end
            for output, count in pairs(counts) do
              if is_full(KEYS[9 + output], count, limit) then return -1 end
            end
            -- For fewer entries, a call for each takes less time.
            if entries >= 64 then find_attempts(ARGV[5], last, 2 * entries) end
            local done, again, lost = {}, {}, {}
            at = 5
            while at <= #ARGV do
              local id, attempt, lines = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
              if is_mine(id, attempt) then
                for i = 0, lines - 1 do
                  redis.call('XADD', KEYS[9 + tonumber(ARGV[at + 3 + 2 * i])], '*', 'e', ARGV[at + 4 + 2 * i])
                end
                done[#done + 1] = id
                if attempt > 1 then again[#again + 1] = id end
              else
                lost[#lost + 1] = id
              end
              at = at + 3 + 2 * lines
            end
            for first = 1, #done, 1000 do
              redis.call('XACK', stream, group, unpack(done, first, math.min(first + 999, #done)))
            end
            in_parts('ZREM', due, done)
            in_parts('HDEL', failures, again)
            if is_ordered then
              local freed = {}
              for _, id in ipairs(done) do
                local key = remove_from_chain(id)
                if key then freed[key] = true end
              end
              for key in pairs(freed) do let_next_go(key) end
              if is_nudged then look_again() end
            end
            if trims then trim(stream) end
            return lost
            """)

    /// Publishes lines that do not come from a queue; a repetition does nothing. Keys: 1 the publications of this publisher, then the
    /// streams, then keys to set. Arguments: number of this publication, the lowest number in progress, number of streams, number of keys
    /// to set, length limit of a stream; the values to set; for each line the number of its stream and the line. Answer: 1, or -1 if a
    /// stream is full.
    static let publish = RedisScript(
        trimming + """
            local number, floor, streams, sets, limit =
              ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
            if redis.call('ZSCORE', KEYS[1], number) then return 1 end
            local first = 6 + sets
            local counts = {}
            for i = first, #ARGV, 2 do
              local to = tonumber(ARGV[i])
              counts[to] = (counts[to] or 0) + 1
            end
            for to, count in pairs(counts) do
              if is_full(KEYS[1 + to], count, limit) then return -1 end
            end
            for i = first, #ARGV, 2 do redis.call('XADD', KEYS[1 + tonumber(ARGV[i])], '*', 'e', ARGV[i + 1]) end
            for i = 1, sets do redis.call('SET', KEYS[1 + streams + i], ARGV[5 + i]) end
            redis.call('ZADD', KEYS[1], number, number)
            redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. floor)
            redis.call('EXPIRE', KEYS[1], 3600)
            return 1
            """)

    /// Moves an entry to the dead letters. Arguments: id, attempt, limit of dead letters, code, reason, tool, worker; then the lines to
    /// publish instead, each behind the number of its output. Answer: 1, 0 if the lease was lost, -1 if there is no room.
    static let moveToDeadLetters = RedisScript(
        prelude + trimming + """
            local id, attempt, limit = ARGV[3], ARGV[4], tonumber(ARGV[5])
            if not is_mine(id, attempt) then return 0 end
            if redis.call('XLEN', dead) >= limit then return -1 end
            local entry = redis.call('XRANGE', stream, id, id)[1]
            local line = ''
            if entry then
              for i = 1, #entry[2], 2 do
                if entry[2][i] == 'e' then line = entry[2][i + 1] end
              end
            end
            redis.call('XADD', dead, '*', 'e', line, 'code', ARGV[6], 'reason', ARGV[7], 'attempts', attempt, 'group', group,
              'tool', ARGV[8], 'worker', ARGV[9], 'id', id)
            for i = 10, #ARGV, 2 do redis.call('XADD', KEYS[9 + tonumber(ARGV[i])], '*', 'e', ARGV[i + 1]) end
            forget(id)
            if is_nudged then look_again() end
            trim(stream)
            return 1
            """)

    /// Trims the stream.
    static let trim = RedisScript(prelude + trimming + "return trim(stream)")
}

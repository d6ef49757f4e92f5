/// Holds the parts of the scripts that keep the order of the entries with one key, such as the messages to one chat.
///
/// The unfinished entries of a key form a chain, in the order of the stream: members `KEY:ID` of one sorted set, where the digits of
/// the id are padded, so that their alphabetical order is that of the stream. A hash holds the key of each entry in a chain.
///
/// One rule gives the order: a worker may take an entry if all earlier entries of its chain are in its own hands. The worker that has the
/// first entry of a chain thus owns the key, for as long as the lease of that entry lasts, and gives it up with the last entry that it
/// finishes. An entry that may not be taken yet belongs to the consumer `behind`. What ends the wait is the end of an earlier
/// entry: then the next one becomes due, or, if the key has an owner, the key comes into the owner's inbox, which the owner
/// reads with its next entries. Should no worker do that, as one of an older version does not, the entry itself is looked at again after
/// `recheck`. Only the first entry that waits in a chain needs that: those behind it are looked at after `far`, so that a chain of
/// many entries costs no more than a short one.
enum QueueOrderScripts {
    /// Functions of all scripts. A worker of another version may have acknowledged an entry without its chain: such links are removed
    /// where they are met.
    static let chains = """
        local chains, entry_keys, inboxes = KEYS[7], KEYS[8], KEYS[9]
        local is_ordered = redis.call('EXISTS', entry_keys) == 1
        local is_nudged = false
        -- In ms; and the number of entries of a chain that are looked at in one step, more than a worker may have of it.
        local recheck, far, longest = 60000, 3600000, 80
        local function is_worker(name) return name ~= 'held' and name ~= 'retry' and name ~= 'behind' end
        local function link(key, id)
          local ms, seq = id:match('(%d+)%-(%d+)')
          return key .. ':' .. ('0'):rep(20 - #ms) .. ms .. '-' .. ('0'):rep(20 - #seq) .. seq
        end
        local function add_to_chain(key, id)
          is_ordered = true
          redis.call('HSET', entry_keys, id, key)
          redis.call('ZADD', chains, 0, link(key, id))
        end
        local function key_in_chain(id) return is_ordered and redis.call('HGET', entry_keys, id) end
        local function remove_from_chain(id)
          local key = key_in_chain(id)
          if key then
            redis.call('HDEL', entry_keys, id)
            redis.call('ZREM', chains, link(key, id))
          end
          return key
        end
        local function id_of(member)
          local ms, seq = member:match(':0*(%d+)%-0*(%d+)$')
          return ms .. '-' .. seq
        end
        -- The ids of the first entries of a chain, of which the very first is unfinished.
        local function front(key, count)
          while true do
            local ids = redis.call('ZRANGEBYLEX', chains, '[' .. key .. ':', '(' .. key .. ';', 'LIMIT', 0, count)
            for i, member in ipairs(ids) do ids[i] = id_of(member) end
            if #ids == 0 or pending(ids[1]) then return ids end
            for _, id in ipairs(ids) do
              if pending(id) then break end
              remove_from_chain(id)
            end
          end
        end
        local function is_behind_waiting(key, id)
          local last = redis.call('ZREVRANGEBYLEX', chains, '(' .. link(key, id), '[' .. key .. ':', 'LIMIT', 0, 1)[1]
          local entry = last and pending(id_of(last))
          return entry and entry[2] == 'behind'
        end
        local function wait_behind(key, id, attempt)
          put_back(id, 'behind', attempt, now() + (is_behind_waiting(key, id) and far or recheck))
        end
        -- Makes sure that the first entry of a chain that waits is looked at again.
        local function look_at_again(id)
          local at = now() + recheck
          if tonumber(redis.call('ZSCORE', due, id) or 0) > at then
            redis.call('ZREM', due, id)
            redis.call('ZADD', due, at, id)
          end
        end
        local function post(worker, key)
          if redis.call('ZADD', inboxes, 0, worker .. ' ' .. key) == 1 then is_nudged = true end
          redis.call('EXPIRE', inboxes, 3600)
        end
        -- Lets the first entry that waits behind others go on, if they are finished or in the hands of one worker.
        local function let_next_go(key)
          local is_changed = key
          while is_changed do
            local owner
            is_changed = false
            for _, id in ipairs(front(key, longest)) do
              local entry = pending(id)
              if not entry then
                remove_from_chain(id)
                is_changed = true
              elseif entry[2] == 'behind' then
                if owner then
                  look_at_again(id)
                  post(owner, key)
                else
                  redis.call('ZREM', due, id)
                  redis.call('ZADD', due, now(), id)
                  is_nudged = true
                end
                return
              elseif not is_worker(entry[2]) or (owner and owner ~= entry[2]) then
                return
              else
                owner = entry[2]
              end
            end
          end
        end

        """

    /// Functions of the script `take`, which has `rules`, `is_keyed`, `per_key`, `at_once`, `time`, `given`, `has_room`, `give` and `claim`.
    static let taking = """
        -- Keys that this worker cannot go on with in this step, and the number of entries that it has of other keys.
        local blocked, sizes = {}, {}
        local function as_text(value)
          if type(value) == 'string' then
            -- A chat's id may be written as text.
            if #value <= 15 and value:match('^%-?%d+$') then value = tonumber(value) else return value end
          end
          if type(value) ~= 'number' then return '' end
          if value == math.floor(value) and math.abs(value) < 2 ^ 53 then return string.format('%.0f', value) end
          return string.format('%.17g', value)
        end
        -- The paths to the keys of events of a type.
        local function paths_of(kind)
          if type(kind) ~= 'string' then kind = '' end
          for _, rule in ipairs(rules) do
            if kind:sub(1, #rule[1]) == rule[1] then return rule[2] end
          end
          return ''
        end
        -- The key of an event: a digest of the value at the first path that leads to a text or a number; nil without one.
        local function key_of(fields)
          local line = ''
          for i = 1, #fields, 2 do
            if fields[i] == 'e' then line = fields[i + 1] end
          end
          -- To decode a long line would keep other clients waiting.
          if not is_keyed or #line > 65536 then return nil, #line end
          local is_json, event = pcall(cjson.decode, line)
          if not is_json then
            -- A text that was cut may hold half a character, which an event may have and this decoder refuses.
            is_json, event = pcall(cjson.decode, (line:gsub('\\\\u[dD][89a-fA-F]%x%x', '\\\\uFFFD')))
          end
          if not is_json or type(event) ~= 'table' then return nil, #line end
          for path in paths_of(event.type):gmatch('[^,]+') do
            local value = event
            for word in path:gmatch('[^.]+') do
              if type(value) == 'table' then value = value[word] else value = nil end
            end
            local text = as_text(value)
            if text ~= '' then return redis.sha1hex(text):sub(1, 20), #line end
          end
          return nil, #line
        end
        local function is_due(id) return tonumber(redis.call('ZSCORE', due, id) or 0) <= time end
        -- Lets the worker that has all entries before one which waits take that, too.
        local function tell_owner(key, id)
          local owner
          for _, other in ipairs(front(key, longest)) do
            if other == id then break end
            local holder = (pending(other) or {})[2]
            if holder and (not is_worker(holder) or (owner and owner ~= holder)) then return end
            owner = holder or owner
          end
          -- A worker in batches could not take it before the batch is finished, and then it becomes due.
          if owner and owner ~= consumer and not at_once then post(owner, key) end
        end
        -- Takes the entries of a chain, from its first on, as far as this worker may. A worker whose lease on one of them has ended
        -- loses all that it has of the chain: it must not go on with later entries while another worker has an earlier one.
        local function take_chain(key)
          local lost, is_stopped, is_changed = {}, false, true
          while is_changed and not is_stopped do
            local size = 0
            is_changed = false
            for _, id in ipairs(front(key, longest)) do
              local entry = pending(id)
              if entry then
                local holder = entry[2]
                local is_free = not given[id] and (holder == 'behind' or lost[holder] or is_due(id))
                local was_stopped = is_stopped
                size = size + 1
                if is_stopped or size > per_key or not has_room() then
                  is_stopped = true
                  if lost[holder] then wait_behind(key, id, entry[4]) end
                elseif is_free then
                  local had = lost[holder]
                  is_stopped = not claim(id, entry)
                  if not is_stopped and is_worker(holder) and holder ~= consumer then
                    lost[holder] = true
                    redis.call('ZREM', inboxes, holder .. ' ' .. key)
                  end
                  if is_stopped and had then wait_behind(key, id, entry[4]) end
                elseif holder ~= consumer or (at_once and not given[id]) then
                  is_stopped = true
                end
                if is_stopped and not was_stopped and holder == 'behind' then look_at_again(id) end
                if is_stopped and not next(lost) then break end
              else
                remove_from_chain(id)
                is_changed = true
              end
            end
          end
          if is_stopped then blocked[key] = true end
        end
        -- Takes a due entry that has a key, with the entries before and behind it. Answer: false if it has none.
        local function take_in_order(id, entry)
          if not is_keyed then return false end
          local key = key_in_chain(id)
          if key and entry[2] == 'behind' and is_behind_waiting(key, id) then
            redis.call('ZREM', due, id)
            redis.call('ZADD', due, time + far, id)
            return true
          end
          if not key then
            local found = redis.call('XRANGE', stream, id, id)[1]
            key = found and key_of(found[2])
            if not key then return false end
            -- Adding needs memory, and a full server allows that only after a write that needs none.
            redis.call('ZREM', due, id)
            redis.call('ZADD', due, time, id)
            for _, other in ipairs(front(key, longest)) do
              local holder = (pending(other) or {})[2]
              if holder and is_worker(holder) and not given[other] then
                if holder ~= consumer and not is_due(other) then
                  -- It was held, and its key has an owner now.
                  add_to_chain(key, id)
                  wait_behind(key, id, entry[4])
                  post(holder, key)
                  return true
                end
                break
              end
            end
            add_to_chain(key, id)
          end
          if not blocked[key] then take_chain(key) end
          if not given[id] and not is_suspect[id] and has_room() and pending(id) and is_due(id) then
            wait_behind(key, id, entry[4])
            tell_owner(key, id)
          end
          return true
        end
        local function take_inbox()
          if not is_keyed then return end
          local first, last = '[' .. consumer .. ' ', '(' .. consumer .. '!'
          for _, member in ipairs(redis.call('ZRANGEBYLEX', inboxes, first, last, 'LIMIT', 0, limit)) do
            if not has_room() or suspects > 0 then return end
            redis.call('ZREM', inboxes, member)
            take_chain(member:sub(#consumer + 2))
          end
        end
        -- Takes a new entry, or lets it wait behind others. Answer: the size of its line.
        local function take_new(id, fields)
          if not is_keyed then
            local before = bytes
            give(id, fields, 1)
            return bytes - before
          end
          local key, size_bytes = key_of(fields)
          if not key then
            give(id, fields, 1)
            return size_bytes
          end
          local owner = nil
          if not blocked[key] and not sizes[key] then
            sizes[key] = 0
            for _, other in ipairs(front(key, per_key)) do
              local entry = pending(other)
              if entry then
                sizes[key] = sizes[key] + 1
                if entry[2] ~= consumer or (at_once and not given[other]) then blocked[key] = true end
                owner = (not owner or owner == entry[2]) and entry[2] or 'behind'
              else
                remove_from_chain(other)
              end
            end
          end
          if sizes[key] and sizes[key] >= per_key then blocked[key] = true end
          add_to_chain(key, id)
          if blocked[key] then
            wait_behind(key, id, 0)
            -- A worker in batches could not take it before the batch is finished, and then it becomes due.
            if owner and is_worker(owner) and owner ~= consumer and not at_once then post(owner, key) end
          else
            sizes[key] = (sizes[key] or 0) + 1
            give(id, fields, 1)
          end
          return size_bytes
        end

        """
}

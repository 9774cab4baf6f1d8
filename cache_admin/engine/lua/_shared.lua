-- Prepended to every script that writes. One script runs alone, so what it does moves together.

-- Gives the project its next revision. Opaque to callers: <epoch>.<n>.
local function revise(rev_key, epoch_key, epoch)
  local n = redis.call('INCR', rev_key)
  if redis.call('GET', epoch_key) ~= epoch then
    redis.call('SET', epoch_key, epoch)
  end
  return epoch .. '.' .. string.format('%.0f', n)
end

-- The project's revision as it stands, for writes that changed nothing.
local function revision(rev_key, epoch_key, epoch)
  return (redis.call('GET', epoch_key) or epoch) .. '.' .. (redis.call('GET', rev_key) or '0')
end

-- The engine's clock, in ms since 1970.
local function now_ms()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

local function ms(number)
  return string.format('%.0f', number)
end

-- Removes entries and their index rows in three commands; returns how many there were. At most some thousands: Lua
-- takes no more arguments.
local function remove(idx, exp, keys, entries)
  if #keys == 0 then return 0 end
  redis.call('ZREM', idx, unpack(keys))
  redis.call('ZREM', exp, unpack(keys))
  return redis.call('UNLINK', unpack(entries))
end

-- Removes up to `limit` expired keys from the indexes; true when more are due.
-- Exclusive bound: an entry lives through its last millisecond, as PEXPIREAT has it.
local function purge(idx, exp, entry_prefix, limit)
  local due = redis.call('ZRANGE', exp, '-inf', '(' .. ms(now_ms()), 'BYSCORE', 'LIMIT', 0, limit)
  local entries = {}
  for i, key in ipairs(due) do
    entries[i] = entry_prefix .. key
  end
  remove(idx, exp, due, entries)
  return #due == limit
end

-- Writes one entry and its index rows. ttl: '' never, 'keep', or ms from now. metadata: '' keep, '{}' none, or its text.
local function put(e, idx, exp, key, value, ttl, metadata, rev, existed)
  redis.call('HSET', e, 'v', value, 'r', rev)
  if metadata == '{}' then
    if existed then redis.call('HDEL', e, 'm') end
  elseif metadata ~= '' then
    redis.call('HSET', e, 'm', metadata)
  end
  if not existed then
    redis.call('ZADD', idx, 0, key)
  end
  if ttl == 'keep' and existed then
    return
  end
  if ttl == '' or ttl == 'keep' then
    if existed and redis.call('PERSIST', e) == 1 then redis.call('HDEL', e, 'x') end
    redis.call('ZREM', exp, key)
  else
    local at = ms(now_ms() + tonumber(ttl))
    redis.call('HSET', e, 'x', at)
    redis.call('PEXPIREAT', e, at)
    redis.call('ZADD', exp, at, key)
  end
end

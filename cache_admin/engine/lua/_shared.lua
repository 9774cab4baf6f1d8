-- Prepended to every script. One script runs alone, so what it does moves together.
--
-- An entry is one string: layout (1 byte), bytes of the metadata (2), epoch (4), n (6), expiry in ms or 0 (6), all
-- big-endian; then the metadata's text and the value's. Its revision is <epoch>.<n>, the epoch in hex.
local HEAD, HEAD_BYTES, LAYOUT = '>BI2I4I6I6', 19, 1
local STAMP_AT, STAMP = 3, '>I4I6I6' -- epoch, n, expiry: what an expiry rewrites

local function revision_text(epoch, n)
  return string.format('%08x.%.0f', epoch, n)
end

-- An entry's head, nil if there is none.
local function head_of(e)
  local head = redis.call('GETRANGE', e, 0, HEAD_BYTES - 1)
  if #head < HEAD_BYTES then return nil end
  local _, metadata_bytes, epoch, n, at = struct.unpack(HEAD, head)
  return {metadata_bytes = metadata_bytes, revision = revision_text(epoch, n), n = n, at = at}
end

-- Gives the project its next revision: {epoch, n}. Opaque to callers.
local function revise(rev_key, epoch_key, epoch)
  local n = redis.call('INCR', rev_key)
  if redis.call('GET', epoch_key) ~= epoch then
    redis.call('SET', epoch_key, epoch)
  end
  return {epoch = tonumber(epoch, 16), n = n}
end

local function told(rev)
  return revision_text(rev.epoch, rev.n)
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

-- Removes up to `limit` expired keys from the indexes; returns whether more are due, and how many it removed.
-- Exclusive bound: an entry lives through its last millisecond, as PEXPIREAT has it.
local function purge(idx, exp, entry_prefix, limit)
  local due = redis.call('ZRANGE', exp, '-inf', '(' .. ms(now_ms()), 'BYSCORE', 'LIMIT', 0, limit)
  local entries = {}
  for i, key in ipairs(due) do
    entries[i] = entry_prefix .. key
  end
  remove(idx, exp, due, entries)
  return #due == limit, #due
end

-- Changes when an entry expires (ms since 1970, 0 for never) and its revision; value and metadata stay.
local function stamp(e, exp, key, at, rev)
  redis.call('SETRANGE', e, STAMP_AT, struct.pack(STAMP, rev.epoch, rev.n, at))
  if at == 0 then
    redis.call('PERSIST', e)
    redis.call('ZREM', exp, key)
  else
    redis.call('PEXPIREAT', e, ms(at))
    redis.call('ZADD', exp, ms(at), key)
  end
end

-- Writes one entry and its index rows. ttl: '' never, 'keep', ms from now, or '@' and ms since 1970. metadata: '' keep,
-- '{}' none, or its text.
-- head: the stored entry's, nil if there is none.
local function put(e, idx, exp, key, value, ttl, metadata, rev, head)
  if metadata == '{}' or (metadata == '' and not head) then
    metadata = ''
  elseif metadata == '' and head.metadata_bytes > 0 then
    metadata = redis.call('GETRANGE', e, HEAD_BYTES, HEAD_BYTES + head.metadata_bytes - 1)
  end
  local had = head and head.at or 0
  local at = 0
  if ttl == 'keep' then
    at = had
  elseif string.sub(ttl, 1, 1) == '@' then
    at = tonumber(string.sub(ttl, 2))
  elseif ttl ~= '' then
    at = now_ms() + tonumber(ttl)
  end
  local text = struct.pack(HEAD, LAYOUT, #metadata, rev.epoch, rev.n, at) .. metadata .. value
  if at == 0 then
    redis.call('SET', e, text)
  else
    redis.call('SET', e, text, 'PXAT', ms(at))
  end
  if not head then redis.call('ZADD', idx, 0, key) end
  if at ~= 0 then
    if at ~= had then redis.call('ZADD', exp, ms(at), key) end
  elseif had ~= 0 or not head then -- an entry that is gone may have left its row
    redis.call('ZREM', exp, key)
  end
end

#!lua flags=allow-oom
-- One step of a listing, in byte order of the keys.
-- KEYS: idx, exp. The entries come from the index; they share the hash tag.
-- ARGV: epoch (unused), entry prefix, low and high lexicographic bound, how many live keys, '1' to go downwards, what to give per key ('keys', 'metadata', 'preview'), preview's bytes,
--       how many keys to look at.
-- Reply: {more live keys follow (1 or 0), key to resume after or nil when the range is done or full, expired keys removed, row, …};
-- row is the key alone, or {key, metadata or '', expires_at_ms or 0, revision[, preview, bytes of the value]}.
-- Guard: a key whose entry is gone leaves the indexes and is not listed.
local prefix, low, high = ARGV[2], ARGV[3], ARGV[4]
local limit, down, give = tonumber(ARGV[5]), ARGV[6] == '1', ARGV[7]
local preview_bytes, to_look_at = tonumber(ARGV[8]), tonumber(ARGV[9])
local out, rows = {0, false, 0}, 0 -- the three heads of the reply, then its rows

local function all_live(keys)
  local entries = {}
  for i, key in ipairs(keys) do
    entries[i] = prefix .. key
  end
  return redis.call('EXISTS', unpack(entries)) == #keys
end

local function row_of(key, live)
  local e = prefix .. key
  if give == 'keys' then
    return (live or redis.call('EXISTS', e) == 1) and key
  end
  local head = head_of(e)
  if not head then return false end
  local value_at = HEAD_BYTES + head.metadata_bytes
  local metadata = head.metadata_bytes == 0 and '' or redis.call('GETRANGE', e, HEAD_BYTES, value_at - 1)
  local row = {key, metadata, ms(head.at), head.revision}
  if give == 'preview' then
    row[5] = redis.call('GETRANGE', e, value_at, value_at + preview_bytes - 1)
    row[6] = redis.call('STRLEN', e) - value_at
  end
  return row
end

while to_look_at > 0 do
  local want = math.min(limit + 1 - rows, to_look_at)
  local keys
  if down then
    keys = redis.call('ZRANGE', KEYS[1], high, low, 'BYLEX', 'REV', 'LIMIT', 0, want)
  else
    keys = redis.call('ZRANGE', KEYS[1], low, high, 'BYLEX', 'LIMIT', 0, want)
  end
  local live = give == 'keys' and #keys > 0 and all_live(keys) -- the common case, in one command
  for _, key in ipairs(keys) do
    local row = row_of(key, live)
    if not row then
      redis.call('ZREM', KEYS[1], key)
      out[3] = out[3] + redis.call('ZREM', KEYS[2], key)
    elseif rows == limit then
      out[1] = 1
      return out
    else
      rows = rows + 1
      out[rows + 3] = row
    end
  end
  if #keys < want then return out end
  if down then high = '(' .. keys[#keys] else low = '(' .. keys[#keys] end
  to_look_at = to_look_at - want
end
out[2] = string.sub(down and high or low, 2)
return out

#!lua flags=no-writes
-- How large some keys of ranges are, one of each of m equal stretches, anywhere in it: keys that take turns in size by
-- their order would deceive a fixed step. So folders are weighed without a look at every key.
-- KEYS: idx. The entries come from the index; they share the hash tag.
-- ARGV: epoch (unused), entry prefix, how many keys stand for a range (m), the first of these m to give and the one beyond
-- the last, low and high lexicographic bound of a range, …
-- Reply: a row a range, {keys in it, key, bytes of its value and metadata, …}; of a key whose entry has expired, 0 bytes.
-- Guard: none; what it costs is the caller's to bound: a few microseconds a key.
local HEAD_BYTES = 19 -- _shared.lua has what an entry looks like
local idx, prefix = KEYS[1], ARGV[2]
local m, first, beyond = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local out = {}

local function add(row, key)
  row[#row + 1] = key
  row[#row + 1] = math.max(redis.call('STRLEN', prefix .. key) - HEAD_BYTES, 0)
end

for at = 6, #ARGV, 2 do
  local low, high = ARGV[at], ARGV[at + 1]
  local number = redis.call('ZLEXCOUNT', idx, low, high)
  local row = {number}
  if number <= m then -- all of them
    for _, key in ipairs(redis.call('ZRANGE', idx, low, high, 'BYLEX', 'LIMIT', first, beyond - first)) do
      add(row, key)
    end
  else
    local rank = low == '-' and 0 or redis.call('ZLEXCOUNT', idx, '-', '(' .. string.sub(low, 2))
    for i = first, beyond - 1 do
      local from, to = math.floor(i * number / m), math.floor((i + 1) * number / m)
      local place = string.format('%.0f', rank + from + math.floor(math.random() * (to - from)))
      local key = redis.call('ZRANGE', idx, place, place)[1]
      if key then add(row, key) end
    end
  end
  out[#out + 1] = row
end
return out

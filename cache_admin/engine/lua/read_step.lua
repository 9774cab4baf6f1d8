#!lua flags=no-writes
-- One step of reading the entries of a range whole, in byte order of the keys.
-- KEYS: idx. The entries come from the index; they share the hash tag.
-- ARGV: epoch (unused), entry prefix, low and high lexicographic bound, how many keys to look at, bytes of entries after
-- which to stop, and perhaps keys, which are then looked at in place of the range.
-- Reply: {looked at, key to resume after or nil when the range is done, key, entry, …}; an entry that is gone is left out.
-- Guard: none; what is read together is as of one instant.
local keys = #ARGV > 6 and {unpack(ARGV, 7)}
  or redis.call('ZRANGE', KEYS[1], ARGV[3], ARGV[4], 'BYLEX', 'LIMIT', 0, ARGV[5])
local room = tonumber(ARGV[6])
local out = {#keys, #keys == tonumber(ARGV[5]) and keys[#keys] or false}
for i, key in ipairs(keys) do
  local entry = redis.call('GET', ARGV[2] .. key)
  if entry then
    out[#out + 1] = key
    out[#out + 1] = entry
    room = room - #entry
    if room <= 0 and i < #keys then
      out[1], out[2] = i, key
      return out
    end
  end
end
return out

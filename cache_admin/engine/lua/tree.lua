#!lua flags=allow-oom
-- One level of folders (up to the next ':') and loose keys below a prefix, by skip-scan: a step per row, however many keys a folder holds.
-- KEYS: idx, exp. Expired entries come from the index; they share the hash tag.
-- ARGV: epoch (unused), entry prefix, low bound of the level, low bound of this page, high bound, length of the prefix, rows, expired keys to remove first, '1' to go on when more are due.
-- Reply: {more are due, expired keys removed, total count or nil, more rows follow, row, …}; row is {folder, count} or {key}.
-- Guard: with nothing due the counts are exact.
local due, expired = purge(KEYS[1], KEYS[2], ARGV[2], tonumber(ARGV[8]))
if due and ARGV[9] ~= '1' then return {1, expired, false, 0} end
local idx, low, high = KEYS[1], ARGV[4], ARGV[5]
local depth, limit = tonumber(ARGV[6]), tonumber(ARGV[7])
local out = {due and 1 or 0, expired, redis.call('ZLEXCOUNT', idx, ARGV[3], high), 0}
while true do
  local key = redis.call('ZRANGE', idx, low, high, 'BYLEX', 'LIMIT', 0, 1)[1]
  if not key then return out end
  if #out == limit + 4 then
    out[4] = 1
    return out
  end
  local colon = string.find(key, ':', depth + 1, true)
  if colon then
    local folder = string.sub(key, 1, colon)
    local beyond = string.sub(key, 1, colon - 1) .. ';' -- ':' and one: past every key of the folder
    out[#out + 1] = {folder, redis.call('ZLEXCOUNT', idx, '[' .. folder, '(' .. beyond)}
    low = '[' .. beyond
  else
    out[#out + 1] = {key}
    low = '(' .. key
  end
end

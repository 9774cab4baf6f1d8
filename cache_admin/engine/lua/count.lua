#!lua flags=allow-oom
-- Counts the live keys of a range.
-- KEYS: idx, exp. Expired entries come from the index; they share the hash tag.
-- ARGV: epoch (unused), entry prefix, low and high lexicographic bound, how many expired keys to remove first, '1' to count even when more are due.
-- Reply: {more are due (1 or 0), expired keys removed, count or nil}.
-- Guard: a count with nothing due is exact.
local due, expired = purge(KEYS[1], KEYS[2], ARGV[2], tonumber(ARGV[5]))
if due and ARGV[6] ~= '1' then return {1, expired, false} end
return {due and 1 or 0, expired, redis.call('ZLEXCOUNT', KEYS[1], ARGV[3], ARGV[4])}

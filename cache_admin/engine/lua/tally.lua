#!lua
-- Adds what one process counted lately to the project's counters, and to the second that it is now.
-- KEYS: stat, a hash: the counters by name, and 64 fields '<second % 64>' that hold 'second hits misses writes'.
-- ARGV: epoch (unused), hits, misses, writes, bytes written, expired.
-- Reply: 1.
-- Guard: none; what is counted twice or lost after a broken connection is a second of one process.
for i, name in ipairs({'hits', 'misses', 'writes', 'bytes_written', 'expired'}) do
  if ARGV[i + 1] ~= '0' then redis.call('HINCRBY', KEYS[1], name, ARGV[i + 1]) end
end
local second = redis.call('TIME')[1]
local slot = tostring(second % 64)
local held, hits, misses, writes =
  string.match(redis.call('HGET', KEYS[1], slot) or '', '^(%d+) (%d+) (%d+) (%d+)$')
if held ~= second then
  hits, misses, writes = 0, 0, 0
end
redis.call('HSET', KEYS[1], slot,
  string.format('%s %.0f %.0f %.0f', second, hits + ARGV[2], misses + ARGV[3], writes + ARGV[4]))
return 1

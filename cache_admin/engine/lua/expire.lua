#!lua
-- Changes when one entry expires; value and metadata stay.
-- KEYS: entry, idx, exp, rev, epoch.
-- ARGV: epoch, key, ttl in ms or '' for never.
-- Reply: {1, new revision}, or {0, project's revision} when the entry is absent.
-- Guard: an absent entry is not made.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, revision(KEYS[4], KEYS[5], ARGV[1])}
end
local rev = revise(KEYS[4], KEYS[5], ARGV[1])
redis.call('HSET', KEYS[1], 'r', rev)
if ARGV[3] == '' then
  redis.call('PERSIST', KEYS[1])
  redis.call('HDEL', KEYS[1], 'x')
  redis.call('ZREM', KEYS[3], ARGV[2])
else
  local at = ms(now_ms() + tonumber(ARGV[3]))
  redis.call('HSET', KEYS[1], 'x', at)
  redis.call('PEXPIREAT', KEYS[1], at)
  redis.call('ZADD', KEYS[3], at, ARGV[2])
end
return {1, rev}

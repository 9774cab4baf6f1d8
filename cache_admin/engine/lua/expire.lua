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
local at = ARGV[3] == '' and 0 or now_ms() + tonumber(ARGV[3])
redis.call('SETRANGE', KEYS[1], STAMP_AT, struct.pack(STAMP, rev.epoch, rev.n, at))
if at == 0 then
  redis.call('PERSIST', KEYS[1])
  redis.call('ZREM', KEYS[3], ARGV[2])
else
  redis.call('PEXPIREAT', KEYS[1], ms(at))
  redis.call('ZADD', KEYS[3], ms(at), ARGV[2])
end
return {1, told(rev)}

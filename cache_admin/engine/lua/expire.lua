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
stamp(KEYS[1], KEYS[3], ARGV[2], at, rev)
return {1, told(rev)}

#!lua
-- Adds to a counter, or makes it.
-- KEYS: entry, idx, exp, rev, epoch.
-- ARGV: epoch, key, amount, value of a counter that this makes ('' if out of int64), its ttl in ms or ''.
-- Reply: {'', digits, new revision} or {reason}; reason is not_an_integer or counter_overflow.
-- Guard: HINCRBY refuses what is not an int64 or would leave it, and nothing is written then. The digits come from
-- HGET: Lua's numbers are doubles and would round the last ones.
local value = redis.call('HGET', KEYS[1], 'v')
if not value then
  if ARGV[4] == '' then return {'counter_overflow'} end
  local rev = revise(KEYS[4], KEYS[5], ARGV[1])
  put(KEYS[1], KEYS[2], KEYS[3], ARGV[2], ARGV[4], ARGV[5], '', rev, false)
  return {'', ARGV[4], rev}
end
if value == '-0' then redis.call('HSET', KEYS[1], 'v', '0') end -- JSON's integer, not HINCRBY's
local answer = redis.pcall('HINCRBY', KEYS[1], 'v', ARGV[3])
if type(answer) == 'table' then
  if string.find(answer.err, 'overflow', 1, true) then return {'counter_overflow'} end
  if string.find(answer.err, 'not an integer', 1, true) then return {'not_an_integer'} end
  return answer
end
local rev = revise(KEYS[4], KEYS[5], ARGV[1])
redis.call('HSET', KEYS[1], 'r', rev)
return {'', redis.call('HGET', KEYS[1], 'v'), rev}

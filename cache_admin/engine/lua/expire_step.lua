#!lua
-- One step of changing when the entries of a range expire: what was written up to a revision, and that once.
-- KEYS: idx, exp, rev, epoch. The entries come from the index, so they cannot be named here; they share the hash tag.
-- ARGV: epoch, entry prefix, low and high lexicographic bound, highest n of the revisions that change ('' for the project's now), how many to look at,
-- 'set', 'extend', 'cap' or 'never', ttl in ms, spread in ms, the moment from which the ttl counts, the latest moment there may be,
-- and perhaps keys, which are then looked at in place of the range (how many to look at is 0 then).
-- Reply: {changed, looked at, last key looked at or nil when the range is done, that n, project's revision}.
-- Guard: n only grows within one data set, whatever the epoch. What changes gets the project's next n, so a step that is
-- done twice passes it by the second time: nothing is extended twice.
local change, ttl, spread = ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local from, latest = tonumber(ARGV[10]), tonumber(ARGV[11])

-- How much of the spread this key gets: evenly between keys, the same for one key each time.
local function part(key)
  if spread == 0 then return 0 end
  return math.floor(spread * tonumber(string.sub(redis.sha1hex(key), 1, 8), 16) / 0xffffffff)
end

-- When an entry that expires at `at` (0: never) shall expire; nil if it stays as it is.
local function moment(key, at)
  if change == 'never' then
    return at ~= 0 and 0 or nil
  elseif change == 'cap' then
    return (at == 0 or at > from + ttl) and from + ttl - part(key) or nil
  elseif change == 'extend' and at == 0 then
    return nil
  end
  local new = math.min((change == 'extend' and at or from) + ttl + part(key), latest)
  return new ~= at and new or nil
end

local keys = #ARGV > 11 and {unpack(ARGV, 12)}
  or redis.call('ZRANGE', KEYS[1], ARGV[3], ARGV[4], 'BYLEX', 'LIMIT', 0, ARGV[6])
local newest = tonumber(redis.call('GET', KEYS[3]) or 0)
local up_to = tonumber(ARGV[5]) or newest
-- The data set that this was called on has been lost: whatever is here was written later.
if up_to > newest then up_to = 0 end
local moments, changed = {}, 0
for _, key in ipairs(keys) do
  local head = head_of(ARGV[2] .. key)
  if head and head.n <= up_to then
    moments[key] = moment(key, head.at)
    if moments[key] then changed = changed + 1 end
  end
end
local last = #keys > 0 and #keys == tonumber(ARGV[6]) and keys[#keys]
if changed == 0 then return {0, #keys, last, ms(up_to), revision(KEYS[3], KEYS[4], ARGV[1])} end
local rev = revise(KEYS[3], KEYS[4], ARGV[1])
for _, key in ipairs(keys) do
  if moments[key] then
    stamp(ARGV[2] .. key, KEYS[2], key, moments[key], rev)
    moments[key] = nil -- a key that is named twice changes once
  end
end
return {changed, #keys, last, ms(up_to), told(rev)}

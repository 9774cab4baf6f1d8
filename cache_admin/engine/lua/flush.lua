#!lua flags=allow-oom
-- One step of removing a range: what was written up to a revision goes, what came later stays.
-- KEYS: idx, exp, rev, epoch. The entries come from the index, so they cannot be named here; they share the hash tag.
-- ARGV: epoch, entry prefix, low and high lexicographic bound, highest n of the revisions that go ('' for the project's now), how many to look at,
-- and perhaps keys, which are then looked at in place of the range (how many to look at is 0 then).
-- Reply: {removed, looked at, last key looked at or nil when the range is done, that n, project's revision}.
-- Guard: n only grows within one data set, whatever the epoch, so n alone is compared.
local keys = #ARGV > 6 and {unpack(ARGV, 7)}
  or redis.call('ZRANGE', KEYS[1], ARGV[3], ARGV[4], 'BYLEX', 'LIMIT', 0, ARGV[6])
local newest = tonumber(redis.call('GET', KEYS[3]) or 0)
local up_to = tonumber(ARGV[5]) or newest
-- The data set that the flush was called on has been lost: whatever is here was written later.
if up_to > newest then up_to = 0 end
local going, entries = {}, {}
for _, key in ipairs(keys) do
  local e = ARGV[2] .. key
  local head = head_of(e)
  if not head or head.n <= up_to then
    going[#going + 1] = key
    entries[#entries + 1] = e
  end
end
local removed = remove(KEYS[1], KEYS[2], going, entries)
local last = #keys > 0 and #keys == tonumber(ARGV[6]) and keys[#keys]
local rev = removed == 0 and revision(KEYS[3], KEYS[4], ARGV[1]) or told(revise(KEYS[3], KEYS[4], ARGV[1]))
return {removed, #keys, last, ms(up_to), rev}

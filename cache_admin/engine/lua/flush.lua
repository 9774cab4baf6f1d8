#!lua flags=allow-oom
-- One step of removing a range: what was written up to a revision goes, what came later stays.
-- KEYS: idx, exp, rev, epoch. The entries come from the index, so they cannot be named here; they share the hash tag.
-- ARGV: epoch, entry prefix, low and high lexicographic bound, highest n of the revisions that go, how many to look at.
-- Reply: {removed, last key looked at or nil when the range is done, project's revision}.
-- Guard: n only grows within one data set, whatever the epoch, so n alone is compared.
local keys = redis.call('ZRANGE', KEYS[1], ARGV[3], ARGV[4], 'BYLEX', 'LIMIT', 0, ARGV[6])
local up_to = tonumber(ARGV[5])
local going, entries = {}, {}
for _, key in ipairs(keys) do
  local e = ARGV[2] .. key
  local r = redis.call('HGET', e, 'r')
  if not r or tonumber(string.match(r, '(%d+)$')) <= up_to then
    going[#going + 1] = key
    entries[#entries + 1] = e
  end
end
local removed = remove(KEYS[1], KEYS[2], going, entries)
local last = #keys == tonumber(ARGV[6]) and keys[#keys]
if removed == 0 then return {0, last, revision(KEYS[3], KEYS[4], ARGV[1])} end
return {removed, last, revise(KEYS[3], KEYS[4], ARGV[1])}

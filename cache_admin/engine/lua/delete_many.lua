#!lua flags=allow-oom
-- Removes several entries, all in one instant.
-- KEYS: idx, exp, rev, epoch, then one entry per key.
-- ARGV: epoch, then the keys.
-- Reply: {how many were there, project's revision}.
-- Guard: none; removing what is absent is no fault.
local keys, entries = {}, {}
for i = 5, #KEYS do
  keys[i - 4] = ARGV[i - 3]
  entries[i - 4] = KEYS[i]
end
local removed = remove(KEYS[1], KEYS[2], keys, entries)
if removed == 0 then return {0, revision(KEYS[3], KEYS[4], ARGV[1])} end
return {removed, told(revise(KEYS[3], KEYS[4], ARGV[1]))}

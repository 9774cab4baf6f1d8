#!lua
-- Writes several entries, all in one instant; a key named twice keeps its last value.
-- KEYS: idx, exp, rev, epoch, then one entry per key.
-- ARGV: epoch, then key, value, ttl, metadata per entry, as set.lua takes them.
-- Reply: the new revision, shared by all.
-- Guard: the engine refuses the whole script when its memory is full, so all are written or none.
local rev = revise(KEYS[3], KEYS[4], ARGV[1])
for i = 5, #KEYS do
  local a = (i - 5) * 4 + 2
  put(KEYS[i], KEYS[1], KEYS[2], ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], rev, head_of(KEYS[i]))
end
return told(rev)

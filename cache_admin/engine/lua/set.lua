#!lua
-- Writes entries, each for a caller of its own.
-- KEYS: idx, exp, rev, epoch, then one entry per write.
-- ARGV: epoch, then per write: key, value, ttl ('' never, 'keep', or ms), metadata ('' keep, '{}' none, or text),
-- condition ('', 'absent', 'present', 'revision'), revision.
-- Reply: per write {'', new revision} or {reason, the entry's revision or ''}; reason is exists, absent or revision_mismatch.
-- Guard: the condition is checked on the entry as it stands, after the writes before it; a refused write changes nothing.
local function refusal(condition, expected, head)
  if condition == 'absent' and head then return {'exists', head.revision} end
  if (condition == 'present' or condition == 'revision') and not head then return {'absent', ''} end
  if condition == 'revision' and head.revision ~= expected then return {'revision_mismatch', head.revision} end
end

local out = {}
for i = 5, #KEYS do
  local a = (i - 5) * 6 + 2
  local head = head_of(KEYS[i])
  local answer = refusal(ARGV[a + 4], ARGV[a + 5], head)
  if not answer then
    local rev = revise(KEYS[3], KEYS[4], ARGV[1])
    put(KEYS[i], KEYS[1], KEYS[2], ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], rev, head)
    answer = {'', told(rev)}
  end
  out[i - 4] = answer
end
return out

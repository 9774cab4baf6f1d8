#!lua
-- Writes one entry.
-- KEYS: entry, idx, exp, rev, epoch.
-- ARGV: epoch, key, value, ttl ('' never, 'keep', or ms), metadata ('' keep, '{}' none, or text), condition ('', 'absent', 'present', 'revision'), revision.
-- Reply: {'', new revision} or {reason, the entry's revision or ''}; reason is exists, absent or revision_mismatch.
-- Guard: the condition is checked on the entry as it stands; a refused write changes nothing.
local existing = redis.call('HGET', KEYS[1], 'r')
local condition = ARGV[6]
if condition == 'absent' and existing then return {'exists', existing} end
if (condition == 'present' or condition == 'revision') and not existing then return {'absent', ''} end
if condition == 'revision' and existing ~= ARGV[7] then return {'revision_mismatch', existing} end
local rev = revise(KEYS[4], KEYS[5], ARGV[1])
put(KEYS[1], KEYS[2], KEYS[3], ARGV[2], ARGV[3], ARGV[4], ARGV[5], rev, existing)
return {'', rev}

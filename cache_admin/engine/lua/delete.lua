#!lua flags=allow-oom
-- Removes one entry.
-- KEYS: entry, idx, exp, rev, epoch.
-- ARGV: epoch, key, condition ('' or 'revision'), revision.
-- Reply: {'', project's revision, 1 if it was there else 0} or {reason, the entry's revision or '', 0}.
-- Guard: with an expected revision, an entry that is absent or another is left as it is.
local existing = redis.call('HGET', KEYS[1], 'r')
if ARGV[3] == 'revision' then
  if not existing then return {'absent', '', 0} end
  if existing ~= ARGV[4] then return {'revision_mismatch', existing, 0} end
end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
if not existing then return {'', revision(KEYS[4], KEYS[5], ARGV[1]), 0} end
redis.call('UNLINK', KEYS[1])
return {'', revise(KEYS[4], KEYS[5], ARGV[1]), 1}

#!lua flags=allow-oom
-- Removes one entry.
-- KEYS: entry, idx, exp, rev, epoch.
-- ARGV: epoch, key, condition ('' or 'revision'), revision.
-- Reply: {'', project's revision, 1 if it was there else 0} or {reason, the entry's revision or '', 0}.
-- Guard: with an expected revision, an entry that is absent or another is left as it is.
if ARGV[3] == 'revision' then
  local head = head_of(KEYS[1])
  if not head then return {'absent', '', 0} end
  if head.revision ~= ARGV[4] then return {'revision_mismatch', head.revision, 0} end
end
if remove(KEYS[2], KEYS[3], {ARGV[2]}, {KEYS[1]}) == 0 then
  return {'', revision(KEYS[4], KEYS[5], ARGV[1]), 0}
end
return {'', told(revise(KEYS[4], KEYS[5], ARGV[1])), 1}

#!lua flags=allow-oom
-- One step of removing expired keys from the indexes.
-- KEYS: idx, exp. Expired entries come from the index; they share the hash tag.
-- ARGV: epoch (unused), entry prefix, how many.
-- Reply: {1 when more are due, else 0; how many were removed}.
-- Guard: only what the engine's own clock says is over.
local due, expired = purge(KEYS[1], KEYS[2], ARGV[2], tonumber(ARGV[3]))
return {due and 1 or 0, expired}

#!lua flags=no-writes
-- Reads entries, and whether others exist, for every caller that is waiting in one project.
-- KEYS: entry hashes to read, then entry hashes to look for.
-- ARGV: epoch (unused), how many are to be read.
-- Reply: {value, metadata, expires_at_ms, revision} for each to be read (nils where it has none), 1 or 0 for each other.
-- Guard: an expired hash is gone by its native expiry, so nothing is compared with the clock here.
local out = {}
local to_read = tonumber(ARGV[2])
for i = 1, #KEYS do
  if i <= to_read then
    out[i] = redis.call('HMGET', KEYS[i], 'v', 'm', 'x', 'r')
  else
    out[i] = redis.call('EXISTS', KEYS[i])
  end
end
return out

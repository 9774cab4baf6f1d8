#!lua flags=no-writes
-- Reads the project's counters.
-- KEYS: stat. ARGV: epoch (unused).
-- Reply: {second that it is now, field, value, …}; tally.lua says which fields.
-- Guard: none.
local out = redis.call('HGETALL', KEYS[1])
table.insert(out, 1, redis.call('TIME')[1])
return out

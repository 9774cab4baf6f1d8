#!lua
-- Writes several entries whose expiry is a moment, all in one instant, each if the condition lets it.
-- KEYS: idx, exp, rev, epoch, then one entry per key.
-- ARGV: epoch, condition ('', 'absent', 'present'), then key, value, expiry in ms since 1970 ('' never), metadata ('{}' none) per entry.
-- Reply: {written, refused by the condition, left out because they have expired, bytes of values and metadata written, project's revision}.
-- Guard: the engine refuses the whole script when its memory is full; done twice, the same is written again.
local condition, now = ARGV[2], now_ms()
local going, refused, expired = {}, 0, 0
for i = 5, #KEYS do
  local at = ARGV[(i - 5) * 4 + 5]
  if at ~= '' and tonumber(at) <= now then
    expired = expired + 1
  else
    going[#going + 1] = i
  end
end
local rev, written, bytes = nil, 0, 0
for _, i in ipairs(going) do
  local a = (i - 5) * 4 + 3
  local head = head_of(KEYS[i])
  if (condition == 'absent' and head) or (condition == 'present' and not head) then
    refused = refused + 1
  else
    rev = rev or revise(KEYS[3], KEYS[4], ARGV[1])
    local at = ARGV[a + 2] == '' and '' or '@' .. ARGV[a + 2]
    put(KEYS[i], KEYS[1], KEYS[2], ARGV[a], ARGV[a + 1], at, ARGV[a + 3], rev, head)
    written = written + 1
    bytes = bytes + #ARGV[a + 1] + (ARGV[a + 3] == '{}' and 0 or #ARGV[a + 3])
  end
end
return {written, refused, expired, bytes, rev and told(rev) or revision(KEYS[3], KEYS[4], ARGV[1])}

#!lua
-- Adds to a counter, or makes it.
-- KEYS: entry, idx, exp, rev, epoch.
-- ARGV: epoch, key, amount, value of a counter that this makes ('' if out of int64), its ttl in ms or ''.
-- Reply: {'', digits, new revision} or {reason}; reason is not_an_integer or counter_overflow.
-- Guard: only digits within int64 are added to, and only up to its ends; else nothing is written.
local BASE = 1e9 -- Lua's numbers are doubles: what has more digits is added in two halves
local HIGHEST, LOWEST = {9223372036, 854775807}, {-9223372036, -854775808}

-- A JSON integer as {high, low}, both with its sign; nil for other text.
local function halves(text)
  local sign, digits = string.match(text, '^(-?)(%d+)$')
  if not digits or #digits > 19 then return nil end
  local way = sign == '-' and -1 or 1
  return {way * (tonumber(string.sub(digits, 1, -10)) or 0), way * tonumber(string.sub(digits, -9))}
end

-- Whether a number lies within int64. Halves of one sign compare like the number.
local function fits(number)
  local high, low = number[1], number[2]
  return (high < HIGHEST[1] or (high == HIGHEST[1] and low <= HIGHEST[2]))
    and (high > LOWEST[1] or (high == LOWEST[1] and low >= LOWEST[2]))
end

local function sum(a, b)
  local high, low = a[1] + b[1], a[2] + b[2]
  local carry = low >= BASE and 1 or low <= -BASE and -1 or 0
  high, low = high + carry, low - carry * BASE
  if high > 0 and low < 0 then return {high - 1, low + BASE} end
  if high < 0 and low > 0 then return {high + 1, low - BASE} end
  return {high, low}
end

local function digits(number)
  local high, low = number[1], number[2]
  if high == 0 then return string.format('%.0f', low + 0) end
  return string.format('%.0f%09.0f', high, math.abs(low))
end

local size = redis.call('STRLEN', KEYS[1])
if size == 0 then
  if ARGV[4] == '' then return {'counter_overflow'} end
  local rev = revise(KEYS[4], KEYS[5], ARGV[1])
  put(KEYS[1], KEYS[2], KEYS[3], ARGV[2], ARGV[4], ARGV[5], '', rev, nil)
  return {'', ARGV[4], told(rev)}
end
local head = head_of(KEYS[1])
local value_at = HEAD_BYTES + head.metadata_bytes
if size - value_at > 20 then return {'not_an_integer'} end
local number = halves(redis.call('GETRANGE', KEYS[1], value_at, -1))
if not number or not fits(number) then return {'not_an_integer'} end
local total = sum(number, halves(ARGV[3]))
if not fits(total) then return {'counter_overflow'} end
local text = digits(total)
local rev = revise(KEYS[4], KEYS[5], ARGV[1])
put(KEYS[1], KEYS[2], KEYS[3], ARGV[2], text, 'keep', '', rev, head)
return {'', text, told(rev)}

// The script of RedisLedger: LimitWindow in Lua. A rule that changes there changes here; ledger_test.cpp
// holds both against one model.
#pragma once

#include <string_view>

namespace hearth::domain {

// KEYS: the hash, the steps of the minute, those of the day, the reservations (all three oldest first).
// Members of the hash: r t i a (sums of the minute), h (held tokens), d (requests of the day), now; m<step>
// and d<step>; x<id> = "expires tokens" of a reservation that is not settled.
//
// ARGV: "reserve", now or 0, lifetime, id, the amounts r t i a, the limits r t i a d, "unlimited"
//       → granted, kind, limit, used, asked, wait (-1: never), minute step, day step, then r, t with h, d and
//         the waits until each of them is free
// ARGV: "settle", now or 0, lifetime, id, the amounts r t i a, minute step, day step, reached, tokens
inline constexpr std::string_view redis_limit_script = R"lua(
local hash, minutes, days, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local MINUTE, STEP, DAY, DAY_STEP, RUNNING = 60000, 10, 86400000, 60000, 1000
local call = redis.call
local function int(value) return string.format('%.0f', value) end
local function up(time, step) return math.ceil(time / step) * step end

local sums = call('HMGET', hash, 'r', 't', 'i', 'a', 'h', 'd', 'now')
for i = 1, 7 do sums[i] = tonumber(sums[i] or 0) end
local r, t, i, a, h, d = sums[1], sums[2], sums[3], sums[4], sums[5], sums[6]

local now = tonumber(ARGV[2])
if now == 0 then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
if now < sums[7] then now = sums[7] end
local lifetime = tonumber(ARGV[3])

local function read_step(at)
  local text = call('HGET', hash, 'm' .. at)
  if not text then return nil end
  local sr, st, si, sa = string.match(text, '(%S+) (%S+) (%S+) (%S+)')
  return {tonumber(sr), tonumber(st), tonumber(si), tonumber(sa)}
end

local function write_step(at, step)
  call('HSET', hash, 'm' .. at, int(step[1]) .. ' ' .. int(step[2]) .. ' ' .. int(step[3]) .. ' ' .. int(step[4]))
end

-- The step of a time that is not before any other; made where it is missing.
local function step_at(time)
  local at = up(time, STEP)
  local last = call('LINDEX', minutes, -1)
  if last and tonumber(last) >= at then return last end
  call('RPUSH', minutes, int(at))
  return int(at)
end

local function add(time, dr, dt, di, da)
  local at = step_at(time)
  local step = read_step(at) or {0, 0, 0, 0}
  write_step(at, {step[1] + dr, step[2] + dt, step[3] + di, step[4] + da})
  r, t, i, a = r + dr, t + dt, i + di, a + da
  return at
end

while true do
  local id = call('LINDEX', held, 0)
  if not id then break end
  local open = call('HGET', hash, 'x' .. id)
  if open then
    local expires, tokens = string.match(open, '(%S+) (%S+)')
    expires, tokens = tonumber(expires), tonumber(tokens)
    if expires > now then break end
    h = h - tokens
    if tokens > 0 then add(expires, 0, tokens, 0, 0) end
    call('HDEL', hash, 'x' .. id)
  end
  call('LPOP', held)
end
while true do
  local at = call('LINDEX', minutes, 0)
  if not at or tonumber(at) + MINUTE > now then break end
  local step = read_step(at)
  if step then r, t, i, a = r - step[1], t - step[2], i - step[3], a - step[4] end
  call('HDEL', hash, 'm' .. at)
  call('LPOP', minutes)
end
while true do
  local at = call('LINDEX', days, 0)
  if not at or tonumber(at) + DAY > now then break end
  d = d - tonumber(call('HGET', hash, 'd' .. at) or 0)
  call('HDEL', hash, 'd' .. at)
  call('LPOP', days)
end

local function finish()
  call('HSET', hash, 'r', int(r), 't', int(t), 'i', int(i), 'a', int(a), 'h', int(h), 'd', int(d), 'now', int(now))
  local life = lifetime + 2 * MINUTE
  if call('LLEN', days) > 0 then life = math.max(life, DAY + 2 * DAY_STEP) end
  for _, key in ipairs(KEYS) do call('PEXPIRE', key, int(life)) end
end

local id = ARGV[4]
local asked = {tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])}

if ARGV[1] == 'settle' then
  local reached, tokens = ARGV[11] == '1', tonumber(ARGV[12])
  local open = call('HGET', hash, 'x' .. id)
  if open then
    local _, estimate = string.match(open, '(%S+) (%S+)')
    h = h - tonumber(estimate)
    call('HDEL', hash, 'x' .. id)
    if reached and tokens > 0 then add(now, 0, tokens, 0, 0) end
  end
  if not reached then
    local step = read_step(ARGV[9])
    if step then
      write_step(ARGV[9], {step[1] - asked[1], step[2], step[3] - asked[3], step[4] - asked[4]})
      r, i, a = r - asked[1], i - asked[3], a - asked[4]
    end
    if call('HEXISTS', hash, 'd' .. ARGV[10]) == 1 then
      call('HINCRBY', hash, 'd' .. ARGV[10], int(-asked[1]))
      d = d - asked[1]
    end
  end
  finish()
  return {}
end

local limits = {tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])}
local unlimited = tonumber(ARGV[14])

local function wait_for(column, needed)
  local from = 0
  while true do
    local steps = call('LRANGE', minutes, from, from + 49)
    if #steps == 0 then return RUNNING end
    for _, at in ipairs(steps) do
      local step = read_step(at)
      if step then needed = needed - step[column] end
      if needed <= 0 then return tonumber(at) + MINUTE - now end
    end
    from = from + 50
  end
end

local function wait_for_day(needed)
  for _, at in ipairs(call('LRANGE', days, 0, -1)) do
    needed = needed - tonumber(call('HGET', hash, 'd' .. at) or 0)
    if needed <= 0 then return tonumber(at) + DAY - now end
  end
  return DAY
end

-- kind, limit, used, asked, column (0: the day)
local checks = {
  {1, limits[5], d, asked[1], 0},
  {0, limits[1], r, asked[1], 1},
  {2, limits[2], t + h, asked[2], 2},
  {3, limits[3], i, asked[3], 3},
  {4, limits[4], a, asked[4], 4}}
local refusal
for _, check in ipairs(checks) do
  local kind, limit, used, wanted, column = check[1], check[2], check[3], check[4], check[5]
  if wanted > 0 and used + wanted > limit then
    if wanted > limit then
      refusal = {kind, limit, used, wanted, -1}
      break
    end
    local needed = used + wanted - limit
    local wait = column == 0 and wait_for_day(needed) or wait_for(column, needed)
    if not refusal or refusal[5] < wait then refusal = {kind, limit, used, wanted, wait} end
  end
end

local minute_step, day_step = '0', '0'
if not refusal then
  minute_step = add(now, asked[1], 0, asked[3], asked[4])
  if limits[5] < unlimited then
    day_step = int(up(now, DAY_STEP))
    if call('LINDEX', days, -1) ~= day_step then call('RPUSH', days, day_step) end
    call('HINCRBY', hash, 'd' .. day_step, int(asked[1]))
    d = d + asked[1]
  end
  call('RPUSH', held, id)
  call('HSET', hash, 'x' .. id, int(now + lifetime) .. ' ' .. int(asked[2]))
  h = h + asked[2]
end
finish()

local minute_left, day_left = 0, 0
local last = call('LINDEX', minutes, -1)
if last then minute_left = tonumber(last) + MINUTE - now end
last = call('LINDEX', days, -1)
if last then day_left = tonumber(last) + DAY - now end
local tokens_left = 0
if h > 0 then tokens_left = MINUTE elseif t > 0 then tokens_left = minute_left end
local out = refusal or {0, 0, 0, 0, 0}
return {refusal and 0 or 1, out[1], int(out[2]), int(out[3]), int(out[4]), int(out[5]), minute_step, day_step,
        int(r), int(t + h), int(d), int(r > 0 and minute_left or 0), int(tokens_left), int(day_left)}
)lua";

}  // namespace hearth::domain

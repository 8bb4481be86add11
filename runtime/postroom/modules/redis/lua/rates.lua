-- Rates: how many deliveries of a subscription may be lent now, over all processes; as postroom.metering computes it.
local SLACK = 50000 -- microseconds that a fetch may come late without the rate getting lower by it

local has_rates = call('EXISTS', P .. 'rates') == 1

local function rate_of(sid) -- its interval in microseconds, its burst, and when the next delivery is due on average
  local text = has_rates and call('HGET', P .. 'rates', sid)
  if not text then return nil end
  local interval, burst = string.match(text, '^(%d+):(%d+)$')
  local due = tonumber(call('HGET', P .. 'due', sid) or 0)
  return tonumber(interval), tonumber(burst), math.max(due, now - SLACK)
end

local function may_lend(interval, burst, due)
  return math.max(0, math.floor((now - due + 1) / interval) + burst)
end

local function attempted(sid, interval, due, n) -- so many more attempts begin; returns when the next one is due
  due = due + n * interval
  if n > 0 then call('HSET', P .. 'due', sid, string.format('%.0f', due)) end
  return due
end

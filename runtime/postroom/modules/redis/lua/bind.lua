-- bindings: {NAME, as it is packed, whether those that wait may be dropped, its rate or false}; whether to serve
local function reindex(sid)
  local all, a = {}, key('a', sid)
  for _, m in ipairs(call('ZRANGE', key('q', sid), 0, -1)) do all[m] = true end
  for _, m in ipairs(call('ZRANGE', key('dl', sid), 0, -1)) do all[m] = true end
  for _, k in ipairs(call('HKEYS', key('kh', sid))) do
    for _, m in ipairs(call('ZRANGE', key('kz', sid .. ':' .. k), 0, -1)) do all[m] = true end
  end
  for m in pairs(all) do call('ZADD', a, number_of(m), m) end
end

local function main()
  if not enter() then return GONE end
  local changed = false
  for _, each in ipairs(A[5]) do
    local sid = call('HGET', P .. 'sids', each[1])
    if not sid then
      sid = tostring(call('HINCRBY', P .. 'state', 'sid', 1))
      call('HSET', P .. 'sids', each[1], sid)
      call('HSET', P .. 'nm', sid, each[1])
    end
    if call('HGET', P .. 'subs', sid) ~= each[2] then
      call('HSET', P .. 'subs', sid, each[2])
      changed = true
    end
    local was_indexed = call('SISMEMBER', P .. 'ix', sid) == 1
    if each[3] and not was_indexed then
      call('SADD', P .. 'ix', sid)
      reindex(sid)
    elseif was_indexed and not each[3] then
      call('SREM', P .. 'ix', sid)
      call('DEL', key('a', sid))
    end
    if each[4] then
      call('HSET', P .. 'rates', sid, each[4])
    else
      call('HDEL', P .. 'rates', sid)
    end
    if A[6] then
      call('SADD', key('v', sid), ME)
      call('SADD', key('sv', ME), sid)
    end
  end
  if changed then call('HINCRBY', P .. 'state', 'v', 1) end
  tell_all(ROUTES)
  tell_of_room() -- a backlog may have become larger
  return '\192'
end

local result = main()
leave_script()
return result

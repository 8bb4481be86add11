-- All subscriptions as they stand.
local function main()
  if not enter() then return GONE end
  flush_counters() -- entering may have given back what others were lent
  local all, pieces = call('HGETALL', P .. 'subs'), {}
  for i = 1, #all, 2 do
    local sid = all[i]
    local name = name_of(sid)
    local delayed = call('ZCOUNT', key('dl', sid), '(' .. score(now), '+inf')
    local servers = {}
    for _, session in ipairs(call('SMEMBERS', key('v', sid))) do servers[#servers + 1] = str(session) end
    pieces[#pieces + 1] = list({
      bin(all[i + 1]),
      whole(math.max(0, tonumber(call('HGET', P .. 'w', sid) or 0) - delayed)),
      whole(delayed),
      whole(math.max(0, tonumber(call('HGET', P .. 'lc', sid) or 0))),
      whole(call('ZCARD', key('dz', name))),
      list(servers),
      call('HEXISTS', P .. 'paused', name) == 1 and '\195' or '\194',
    })
  end
  return list(pieces)
end

local result = main()
leave_script()
return result

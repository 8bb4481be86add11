-- name, the outcome of what waits for it
local function main()
  if not enter() then return GONE end
  local name, outcome = A[5], A[6]
  local sid = call('HGET', P .. 'sids', name)
  if not sid or call('SCARD', key('v', sid)) > 0 then return whole(0) end
  exempt()
  local own, n = {}, 0
  for _, kind in ipairs({'q', 'dl'}) do
    for _, m in ipairs(call('ZRANGE', key(kind, sid), 0, -1)) do own[number_of(m)] = true end
    call('DEL', key(kind, sid))
  end
  for _, k in ipairs(call('HKEYS', key('kh', sid))) do
    local kz = key('kz', sid .. ':' .. k)
    for _, m in ipairs(call('ZRANGE', kz, 0, -1)) do own[number_of(m)] = true end
    call('DEL', kz)
  end
  for number in pairs(own) do
    local _, flags, watcher, id = unpack_event(event_of(number))
    call('HDEL', P .. 'm', sid .. ':' .. number)
    over(sid, name, number, flags, watcher, id, outcome, nil)
    n = n + 1
  end
  for _, session in ipairs(call('ZRANGE', P .. 'lease', 0, -1)) do
    local loans = key('l', call('HGET', key('x', session), 'inc'))
    local all = call('HGETALL', loans)
    for i = 1, #all, 2 do
      local loan = unpack_loan(all[i + 1])
      if loan.sid == tonumber(sid) then
        call('HDEL', loans, all[i])
        call('HDEL', P .. 'm', sid .. ':' .. number_of(loan.m))
        over(sid, name, number_of(loan.m), loan.flags, loan.watcher, loan.id, outcome, nil)
        n = n + 1
      end
    end
  end
  flush_ended()
  call('DEL', key('kh', sid), key('ko', sid), key('a', sid), key('v', sid))
  for _, kind in ipairs({'subs', 'nm', 'w', 'lc', 'rates', 'due'}) do call('HDEL', P .. kind, sid) end
  call('SREM', P .. 'ix', sid)
  call('HDEL', P .. 'sids', name)
  call('HDEL', P .. 'paused', name)
  call('HINCRBY', P .. 'state', 'v', 1)
  tell_all(ROUTES)
  tell_of_room()
  return whole(n)
end

local result = main()
leave_script()
return result

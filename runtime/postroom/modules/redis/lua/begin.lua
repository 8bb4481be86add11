-- format of what is stored, an id for the namespace where it is new, whether the session begins anew
local state = P .. 'state'
local found = call('HMGET', state, 'format', 'born')
if not found[1] then
  call('HSET', state, 'format', A[5], 'born', A[6], 'n', 0, 'v', 0, 'inc', 0, 'sid', 0)
elseif found[1] ~= tostring(A[5]) then
  return {err = 'FORMAT ' .. found[1]}
end
expire()
give_orphans_back()
if call('EXISTS', key('x', ME)) == 0 then
  call('DEL', key('s', ME), key('sv', ME))
  new_lease(ME)
  call('HSET', key('x', ME), 'since', score(now)) -- stays when the lease is lost
  call('XADD', key('s', ME), '0-1', 'f', 0) -- an empty stream is there as well
  call('XDEL', key('s', ME), '0-1')
  call('HDEL', P .. 'mk', ME)
  if A[7] then tell(ME, LOST + ROUTES + MAIL) end
end
leave_script()
return call('HGET', state, 'born') .. ' ' .. call('HGET', key('x', ME), 'since')

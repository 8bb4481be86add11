-- Renew the lease, and look after those of others.
if not enter() then
  leave_script()
  return GONE
end
exempt()
call('ZADD', P .. 'lease', score(now + LEASE), ME)
leave_script()
return call('HGET', P .. 'state', 'born')

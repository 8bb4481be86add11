-- the run of the server: while it was away nobody could renew a lease, so all get another one
exempt()
local state = P .. 'state'
local run = call('HGET', state, 'run')
if run == A[5] then return '0' end
call('HSET', state, 'run', A[5])
if not run then return '0' end
for _, session in ipairs(call('ZRANGE', P .. 'lease', 0, -1)) do
  call('ZADD', P .. 'lease', 'GT', score(now + LEASE), session)
end
return '1'

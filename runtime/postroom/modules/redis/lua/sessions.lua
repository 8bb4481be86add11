-- Sessions: x:NAME says which incarnation a session has, and what its last numbered call came to; s:NAME is its stream;
-- sv:NAME what it serves, v:SID who serves a subscription; `lease` until when each is alive.

local EXPIRED = 'it was not released in time'
local INC

local function serve_no_more(session)
  for _, sid in ipairs(call('SMEMBERS', key('sv', session))) do call('SREM', key('v', sid), session) end
end

-- A session is taken for dead: what it was lent is lent to others.
local function lapse(session)
  exempt()
  local x = key('x', session)
  local incarnation = call('HGET', x, 'inc')
  call('HDEL', x, 'inc')
  call('ZREM', P .. 'lease', session)
  if incarnation then
    give_back(incarnation, {}, 1)
    give_runs_back(incarnation, {}, 1)
  end
  serve_no_more(session)
  flags[session] = nil
  call('HDEL', P .. 'mk', session)
  call('SREM', P .. 'ref', session)
  for _, kind in ipairs({'x', 's', 'sv'}) do call('PEXPIRE', key(kind, session), LINGER) end
  tell_all(MAIL + ROUTES)
end

local function prolong_leases()
  exempt()
  for _, session in ipairs(call('ZRANGE', P .. 'lease', 0, -1)) do
    call('ZADD', P .. 'lease', 'GT', score(now + LEASE), session)
  end
end

-- Let go of what has had its time. A session at work whose own lease is among that was not noticed by anybody, so what
-- it has was lent to nobody else. Who could not reach the server for a whole lease must take it that others could not
-- either: all go on, and one that is dead is noticed a lease later.
local function expire(at_work)
  local gone = call('ZRANGEBYSCORE', P .. 'lease', '-inf', score(now))
  for _, session in ipairs(gone) do
    if at_work and session == ME then
      prolong_leases()
      gone = {}
      break
    end
  end
  for _, session in ipairs(gone) do lapse(session) end
  for _, group in ipairs(call('ZRANGEBYSCORE', P .. 'gx', '-inf', score(now))) do clear_group(group, nil, EXPIRED) end
end

local function new_lease(session)
  INC = tostring(call('HINCRBY', P .. 'state', 'inc', 1))
  call('HSET', key('x', session), 'inc', INC)
  call('ZADD', P .. 'lease', score(now + LEASE), session)
end

-- The session that calls is alive. One that was taken for dead has a new lease, and is told of it.
local function enter()
  expire(true)
  local x = key('x', ME)
  INC = call('HGET', x, 'inc')
  if INC then return true end
  if call('EXISTS', x) == 0 then return false end
  exempt()
  new_lease(ME)
  for _, kind in ipairs({'x', 's', 'sv'}) do call('PERSIST', key(kind, ME)) end
  for _, sid in ipairs(call('SMEMBERS', key('sv', ME))) do
    if call('HEXISTS', P .. 'nm', sid) == 1 then call('SADD', key('v', sid), ME) end
  end
  call('HDEL', P .. 'mk', ME)
  tell(ME, LOST + ROUTES + MAIL)
  tell_all(ROUTES, ME)
  return true
end

local GONE = {err = 'GONE the session is not known here'}

local function leave_script()
  flush_counters()
  flush_telling()
end

-- A numbered call: the same number again is the same call, with the same result. Settlements are counted by themselves,
-- as `settled`, since they are asked for beside the others.
local function before(number, as)
  local last = call('HMGET', key('x', ME), as or 'last', as and as .. ' result' or 'result')
  return last[1] == tostring(number) and last[2]
end

local function remember(number, result, as)
  call('HSET', key('x', ME), as or 'last', tostring(number), as and as .. ' result' or 'result', result)
  return result
end

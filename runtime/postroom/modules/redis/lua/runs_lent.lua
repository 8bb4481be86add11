-- Runs of workflows, as far as every script may have to do with them: who has one. A run is the hash r:ID; see runs.
--
-- rq:WORKFLOW sorts those that wait by when they are due; members are `NUMBER ID`, the number in 15 characters.
-- ro:INCARNATION has those that are lent under one lease; `ri` says whose lease that is.

local function run_member(number, id) return string.format('%015.0f', number) .. id end

-- Nobody has it; it may be taken up from some time on. Whoever calls tells of it.
local function wait_run(id, due)
  local run = key('r', id)
  local found = call('HMGET', run, 'wf', 'nr')
  if not found[1] then return end -- somebody else has deleted it
  call('HDEL', run, 'ow', 'inc')
  call('HSET', run, 'due', score(due))
  call('ZADD', key('rq', found[1]), score(due), run_member(found[2], id))
end

-- What is lent under a lease waits again, but for some tokens; with a loss more where it was lost.
local function give_runs_back(incarnation, but, loss)
  local own = key('ro', incarnation)
  local some, left = false, false
  for _, id in ipairs(call('SMEMBERS', own)) do
    if but[call('HGET', key('r', id), 'tk')] then
      left = true
    else
      some = true
      call('SREM', own, id)
      if loss > 0 then call('HINCRBY', key('r', id), 'ls', loss) end
      wait_run(id, now)
    end
  end
  if not left then call('HDEL', P .. 'ri', incarnation) end
  if some then tell_all(MAIL) end
end

-- A release that knew no runs may have seen off the session that had them.
local function give_orphans_back()
  local owners = call('HGETALL', P .. 'ri')
  for i = 1, #owners, 2 do
    if call('HGET', key('x', owners[i + 1]), 'inc') ~= owners[i] then give_runs_back(owners[i], {}, 1) end
  end
end

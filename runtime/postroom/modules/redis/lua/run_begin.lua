-- number, id, workflow, input, digest, lane, delay, whether the session wants to have it, series, the most of it
local function create(id, lane, lend)
  local run = key('r', id)
  local starts = now + A[11]
  local number = numbers(1)
  call('HSET', run, 'wf', A[7], 'st', 'running', 'aw', 'running', 'in', A[8], 'dg', A[9], 'rs', '', 'ln', lane,
    'nr', score(number), 'by', ME, 'no', score(A[5]), 'ls', 0, 'ca', score(now), 'ch', score(now), 'sa', score(starts))
  index_run(id, A[7], nil, 'running')
  if lane ~= '' then call('HSET', P .. 'rl', lane, id) end
  if lend then
    lend_run(id)
  else
    wait_run(id, starts)
    tell_all(MAIL)
  end
end

local function main()
  if not enter_journal() then return GONE end
  local id, lane, lend = A[6], A[10], A[12]
  local found = id
  if call('EXISTS', key('r', id)) == 0 then found = lane ~= '' and call('HGET', P .. 'rl', lane) end
  if found then
    watch_run(found)
  else
    local series = A[13]
    if series ~= '' then
      if tonumber(call('HGET', P .. 'rc', series) or 0) >= A[14] then return '\192' end
      call('HINCRBY', P .. 'rc', series, 1)
    end
    create(id, lane, lend)
    found = id
  end
  local same = call('HMGET', key('r', found), 'by', 'no', 'inc')
  if lend and same[1] == ME and same[2] == score(A[5]) and same[3] == INC then
    return list({'\195', loan_piece(found)})
  end
  return list({'\194', run_piece(found)})
end

local result = main()
leave_script()
return result

-- number, steps: {TOKEN, WAIT or nil, ATTEMPTS, OUTCOME or nil, LETTER or nil}; settled where there is an outcome, to be tried
-- again where ATTEMPTS is negative (-1 for 0), else returned
local loans, tokens, found = nil, {}, nil
local gone, kept, answers, was_over = {}, {}, {}, false

local function bury(loan, token, letter)
  local name = name_of(loan.sid)
  local event = event_of(number_of(loan.m))
  local accepted, _, _, id, body = unpack_event(event)
  local number = string.format('%020.0f', token)
  call('HSET', P .. 'dead', number,
    struct.pack('>ddI2I2I4', accepted, now / 1000000, #name, #id, #letter)
      .. name .. letter .. id .. string.sub(event, body))
  call('ZADD', P .. 'dz', 0, number)
  call('ZADD', key('dz', name), 0, number)
end

local function settle(position, step)
  local token = step[1]
  local text = not gone[token] and (kept[token] or found[position]) -- a token may be there twice
  answers[position] = text and '\195' or '\194'
  if not text then return end
  local loan = unpack_loan(text)
  local outcome = step[4]
  if not outcome and step[3] < 0 then
    kept[token] = pack_loan(loan.sid, loan.flags, loan.watcher, loan.id, -step[3] - 1, loan.losses,
      now + step[2], loan.m)
    local interval, _, due = rate_of(loan.sid)
    if interval then attempted(loan.sid, interval, due, 1) end
    call('HSET', loans, score(token), kept[token])
    return
  end
  gone[token] = true
  if flag_of(loan.m) ~= UNKEYED then release_key(loan.sid, key_of(loan.m), 1) end
  if outcome then
    if step[5] then bury(loan, token, step[5]) end
    if loan.attempts > 0 or loan.losses > 0 then
      call('HDEL', P .. 'm', loan.sid .. ':' .. number_of(loan.m))
    end
    count(lent, loan.sid, -1)
    over(loan.sid, nil, number_of(loan.m), loan.flags, loan.watcher, loan.id, outcome, ME)
    was_over = true
  else
    put_back(loan.sid, loan.m, step[3], loan.losses, now + (step[2] or 0))
  end
end

local function main()
  if not enter() then return GONE end
  exempt()
  local number, steps = A[5], A[6]
  local done = before(number, 'settled')
  if done then return done end
  loans = key('l', INC)
  for i, step in ipairs(steps) do tokens[i] = score(step[1]) end
  found = gather('HMGET', loans, tokens)
  for i, step in ipairs(steps) do settle(i, step) end
  local ended_tokens = {}
  for token in pairs(gone) do ended_tokens[#ended_tokens + 1] = score(token) end
  many('HDEL', loans, ended_tokens)
  flush_ended()
  if was_over then tell_of_room() end
  return remember(number, list(answers), 'settled')
end

local result = main()
leave_script()
return result

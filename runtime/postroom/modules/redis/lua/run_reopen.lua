-- id, entry
local function main()
  if not enter_journal() then return GONE end
  local id = A[5]
  local run = key('r', id)
  local found = call('HMGET', run, 'st', 'tk')
  if found[1] ~= 'succeeded' then return '\194' end
  write_run(id, {A[6]})
  set_state(id, 'compensating')
  call('HSET', run, 'aw', 'compensating', 'rs', '', 'ls', 0, 'ln', '', 'by', '', 'ch', score(now))
  call('HDEL', run, 'an', 'tk')
  call('HDEL', P .. 'rt', found[2])
  call('ZREM', P .. 'rf', id)
  wait_run(id, now)
  tell_all(MAIL)
  return '\195'
end

local result = main()
leave_script()
return result

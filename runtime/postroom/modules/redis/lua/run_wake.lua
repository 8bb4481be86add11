-- id
local function main()
  if not enter_journal() then return GONE end
  local id = A[5]
  local run = key('r', id)
  local found = call('HMGET', run, 'st', 'aw')
  if not found[1] or OVER[found[1]] or not ASLEEP[found[1]] then return '\194' end
  set_state(id, found[2])
  call('HSET', run, 'rs', '', 'ls', 0, 'ch', score(now))
  call('HDEL', run, 'an')
  wait_run(id, now)
  tell_all(MAIL)
  return '\195'
end

local result = main()
leave_script()
return result

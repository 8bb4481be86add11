-- token, entries, state or false
local function main()
  if not enter_journal() then return GONE end
  local id = lent_run(A[5])
  if not id then return '\194' end
  write_run(id, A[6])
  if A[7] and set_state(id, A[7]) then call('HSET', key('r', id), 'aw', A[7], 'ch', score(now)) end
  return '\195'
end

local result = main()
leave_script()
return result

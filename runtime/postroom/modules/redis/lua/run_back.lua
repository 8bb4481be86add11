-- token, after how long others may take it up, how many entries are known where that is not over at once; else -1
local function main()
  if not enter_journal() then return GONE end
  local id = lent_run(A[5])
  if not id then return '\194' end
  exempt()
  no_longer_lent(id)
  local has_more = A[7] >= 0 and call('HLEN', key('rj', id)) > A[7]
  wait_run(id, has_more and now or now + A[6])
  tell_all(MAIL)
  return '\195'
end

local result = main()
leave_script()
return result

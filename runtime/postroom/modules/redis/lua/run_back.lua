-- token, after how long others may take it up
local function main()
  if not enter_journal() then return GONE end
  local id = lent_run(A[5])
  if not id then return '\194' end
  exempt()
  no_longer_lent(id)
  wait_run(id, now + A[6])
  tell_all(MAIL)
  return '\195'
end

local result = main()
leave_script()
return result

-- id, whether the session watches it
local function main()
  if not enter_journal() then return GONE end
  local id = A[5]
  if call('EXISTS', key('r', id)) == 0 then return '\192' end
  if A[6] then watch_run(id) end
  return loan_piece(id, 0)
end

local result = main()
leave_script()
return result

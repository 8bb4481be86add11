-- tokens that the session holds
local function main()
  if not enter_journal() then return GONE end
  exempt()
  local but = {}
  for _, token in ipairs(A[5]) do but[score(token)] = true end
  give_runs_back(INC, but, 0)
  return '\192'
end

local result = main()
leave_script()
return result

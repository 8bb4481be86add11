-- group, names or false, reason
local function main()
  if not enter() then return GONE end
  exempt()
  local names
  if A[6] then
    names = {}
    for _, name in ipairs(A[6]) do names[name] = true end
  end
  return whole(clear_group(A[5], names, A[7]))
end

local result = main()
leave_script()
return result

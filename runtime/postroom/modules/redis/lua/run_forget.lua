-- ids
local function main()
  if not enter_journal() then return GONE end
  exempt()
  local count = 0
  for _, id in ipairs(A[5]) do
    local state = call('HGET', key('r', id), 'st')
    if state and ASLEEP[state] then
      if not OVER[state] then tell_watchers(id) end
      forget_run(id)
      count = count + 1
    end
  end
  return whole(count)
end

local result = main()
leave_script()
return result

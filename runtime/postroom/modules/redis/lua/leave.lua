-- names
local function main()
  if not enter() then return GONE end
  exempt()
  for _, name in ipairs(A[5]) do
    local sid = call('HGET', P .. 'sids', name)
    if sid then
      call('SREM', key('v', sid), ME)
      call('SREM', key('sv', ME), sid)
    end
  end
  tell_all(ROUTES)
  return '\192'
end

local result = main()
leave_script()
return result

-- name, whether to pause
local function main()
  if not enter() then return GONE end
  exempt() -- whoever is to calm a full server has to be heard
  if A[6] then
    if call('HEXISTS', P .. 'sids', A[5]) == 1 then call('HSET', P .. 'paused', A[5], 1) end
  else
    call('HDEL', P .. 'paused', A[5])
  end
  tell_all(MAIL + ROUTES)
  return '\192'
end

local result = main()
leave_script()
return result

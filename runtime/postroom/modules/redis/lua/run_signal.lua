-- id, entry
local function main()
  if not enter_journal() then return GONE end
  local id = A[5]
  local found = call('HMGET', key('r', id), 'st', 'ow', 'due')
  if not found[1] or OVER[found[1]] then return '\194' end
  if call('HEXISTS', key('rj', id), entry_field(A[6])) == 1 then return '\195' end
  write_run(id, {A[6]})
  if found[2] then
    tell_of_run(found[2], id)
  elseif found[3] and tonumber(found[3]) > now then
    wait_run(id, now)
    tell_all(MAIL)
  end
  return '\195'
end

local result = main()
leave_script()
return result

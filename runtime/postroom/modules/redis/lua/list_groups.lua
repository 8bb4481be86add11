-- how many
local function main()
  if not enter() then return GONE end
  local found, pieces = call('ZRANGE', P .. 'gx', 0, A[5] - 1, 'WITHSCORES'), {}
  for i = 1, #found, 2 do
    local left = found[i + 1] == 'inf' and 1 / 0 or tonumber(found[i + 1]) - now
    pieces[#pieces + 1] = list({str(found[i]), whole(call('LLEN', key('g', found[i]))), double(left)})
  end
  return list(pieces)
end

local result = main()
leave_script()
return result

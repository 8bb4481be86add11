-- the number of the last news, and the life of the session in which it was told
local function main()
  if not enter() then return GONE end
  if call('HGET', key('x', ME), 'since') ~= A[6] then return {err = 'STALE another life'} end
  flush_telling() -- of what the session's own beginning has to tell
  exempt()
  local stream, seen = key('s', ME), A[5]
  local after = string.format('%.0f-0', seen + 1)
  if seen > 0 then call('XTRIM', stream, 'MINID', '=', after) end
  call('HDEL', P .. 'mk', ME)
  local told, bodies, n, last = 0, {}, 0, seen
  for _, entry in ipairs(call('XRANGE', stream, after, '+', 'COUNT', 1000)) do
    last = tonumber(string.match(entry[1], '^%d+'))
    local fields = entry[2]
    if fields[1] == 'f' then
      told = bit.bor(told, tonumber(fields[2]))
    else
      n = n + tonumber(fields[2])
      bodies[#bodies + 1] = fields[4]
    end
  end
  return list({whole(last), whole(told), '\221' .. struct.pack('>I4', n) .. table.concat(bodies)})
end

local result = main()
leave_script()
return result

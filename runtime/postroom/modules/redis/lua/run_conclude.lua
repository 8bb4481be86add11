-- token, state, result, seconds for which it is kept, the KIND and KEY of an entry that keeps it from that or false; and, for
-- its events, version of the routes, TARGETS, SETS, the events, how many there are; their parcels are the arguments after
-- this
local function accept(events)
  if #events == 0 then return list({'\0', '\144'}) end
  prepare(A[11], A[12])
  reserve(A[14])
  events = one_by_one(events, 2)
  local refused = refusal(events)
  if refused then return refused, true end
  local pieces = {}
  for i, event in ipairs(events) do
    local piece = accept_one(event, ME)
    if piece == FRESH then piece = '\148' .. double(WALL) .. names_piece(event[1]) .. '\128\192' end
    pieces[i] = piece
  end
  flush_publishing(nil)
  return list({'\0', list(pieces)})
end

local function conclude(id, state, result, keep, answer)
  local run = key('r', id)
  no_longer_lent(id)
  call('HDEL', run, 'ow', 'inc')
  call('HSET', run, 'rs', result, 'an', answer, 'ch', score(now))
  tell_watchers(id, ME)
  set_state(id, state)
  if OVER[state] then
    call('DEL', key('rv', id))
    local lane = call('HGET', run, 'ln')
    if lane ~= '' then call('HDEL', P .. 'rl', lane) end
    call('ZADD', P .. 'rf', score(now + math.max(keep, LEASE)), id)
  end
end

local function main()
  if not enter_journal() then return GONE end
  local id = call('HGET', P .. 'rt', score(A[5]))
  if not id then return '\192' end
  local found = call('HMGET', key('r', id), 'inc', 'st', 'an')
  if not found[1] and ASLEEP[found[2]] then return found[3] end -- the same call as before
  if found[1] ~= INC then return '\192' end
  if A[9] and call('HEXISTS', key('rj', id), entry_field(A[9])) == 1 then return '\194' end
  local events = A[13]
  if #events > 0 and call('HGET', P .. 'state', 'v') ~= tostring(A[10]) then return {err = 'STALE other subscriptions'} end
  local answer, refused = accept(events)
  if not refused then conclude(id, A[6], A[7], A[8], answer) end
  return answer
end

local result = main()
leave_script()
return result

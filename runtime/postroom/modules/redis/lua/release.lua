-- number, group, version of the routes, TARGETS, SETS, the set of each event's name
local function release(group, staged, set_of)
  local events, watchers, ids = {}, {}, {}
  for i, text in ipairs(staged) do
    local event = cmsgpack.unpack(text)
    local name = event[2]
    events[i] = {set_of[name], event[3], event[4], event[5], event[6], event[7] or nil, event[8] or nil, event[1],
      event[9] and name or nil}
    watchers[i], ids[i] = event[10], str(event[1])
  end
  reserve(#events)
  local refused = refusal(events)
  if refused then return list({list(ids), refused}) end
  local answers = {}
  for i, event in ipairs(events) do
    local body = bin(string.sub(event[3], event[2] + 1))
    local piece = accept_one(event, watchers[i], body)
    if piece == FRESH then
      piece = '\148' .. double(WALL) .. names_piece(event[1]) .. '\128' .. body
    end
    answers[i] = piece
    unstage(event[8])
    notify(watchers[i], '\149' .. ids[i] .. '\160' .. bin('') .. piece .. '\160')
  end
  forget_group(group)
  return list({list(ids), list({'\0', list(answers)})})
end

local function main()
  if not enter() then return GONE end
  local number, group, set_of = A[5], A[6], A[10]
  local done = before(number)
  if done then return done end
  local staged = call('LRANGE', key('g', group), 0, -1)
  if #staged == 0 then return remember(number, list({'\144', list({'\0', '\144'})})) end
  local names, missing = {}, call('HGET', P .. 'state', 'v') ~= tostring(A[7])
  for _, text in ipairs(staged) do
    local name = cmsgpack.unpack(text)[2]
    names[name] = true
    missing = missing or not set_of[name]
  end
  if missing then
    local pieces = {}
    for name in pairs(names) do pieces[#pieces + 1] = str(name) end
    return list({list(pieces)})
  end
  prepare(A[8], A[9])
  local result = release(group, staged, set_of)
  flush_publishing(nil)
  return remember(number, result)
end

local result = main()
leave_script()
return result

-- group, events {ID, NAME, length of id, PARCEL, HEAD START, DELAY, KEY, DIGEST, REQUIRE}, ttl or false, the most
-- events that a group may have, a mark of this very call where it must not be done twice
local function stage(group, events, ttl, most)
  local answers, new, seen = {}, {}, {}
  local count_new = 0
  for i, event in ipairs(events) do
    local id, digest = event[1], event[8] or false
    local known = event[8] and digest_of(id)
    local staged = staged_somewhere(id)
    local other = known or (staged and staged[1])
    if known or staged then
      if other ~= digest then return '\146\2' .. str(id) end
    end
    if known then
      answers[i] = known_piece(id, ME)
    else
      answers[i] = FRESH
      if not seen[id] and call('SISMEMBER', key('gi', group), id) == 0 then
        seen[id] = true
        count_new = count_new + 1
        new[count_new] = event
      end
    end
  end
  if call('LLEN', key('g', group)) + count_new > most then return '\145\4' end
  if count_new > 0 and call('EXISTS', key('g', group)) == 0 then
    call('ZADD', P .. 'gx', ttl and score(now + ttl) or '+inf', group)
  end
  local texts, ids = {}, {}
  for i, event in ipairs(new) do
    local id = event[1]
    local staged = staged_somewhere(id)
    call('HSET', P .. 'si', id, cmsgpack.pack({event[8] or false, (staged and staged[2] or 0) + 1}))
    event[10] = ME
    for field = 1, 9 do
      if event[field] == nil then event[field] = false end
    end
    texts[i], ids[i] = cmsgpack.pack(event), id
  end
  many('RPUSH', key('g', group), texts)
  many('SADD', key('gi', group), ids)
  return list({'\0', list(answers)})
end

local function main()
  if not enter() then return GONE end
  local x, mark = key('x', ME), A[9]
  if mark then
    local last = call('HMGET', x, 'staged', 'stage_result')
    if last[1] == mark and last[2] then return last[2] end
  end
  local answer = stage(A[5], A[6], A[7], A[8])
  if mark then call('HSET', x, 'staged', mark, 'stage_result', answer) end
  return answer
end

local result = main()
leave_script()
return result

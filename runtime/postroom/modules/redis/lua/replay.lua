-- number, id of the letter, head start
local function replay(id)
  local text = call('HGET', P .. 'dead', id)
  if not text then return '\192' end
  local accepted, _, name, _, parcel, id_length = unpack_letter(text)
  local sid = call('HGET', P .. 'sids', name)
  if not sid then return '\192' end
  local number = numbers(1)
  forget_letter(id)
  local m = member(now, number, A[7], nil)
  call('HSET', P .. 'b', number_of(m), pack_event(accepted, 0, ME, id_length, parcel))
  call('ZADD', key('q', sid), score(score_of(m)), m)
  index(sid, m)
  count(waiting, sid, 1)
  tell_servers(sid, MAIL)
  return list({double(accepted), str(name)})
end

local function main()
  if not enter() then return GONE end
  local done = before(A[5])
  if done then return done end
  return remember(A[5], replay(A[6]))
end

local result = main()
leave_script()
return result

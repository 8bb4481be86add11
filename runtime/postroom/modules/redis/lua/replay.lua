-- number, id of the letter
local function replay(id)
  local text = call('HGET', P .. 'dead', id)
  if not text then return '\192' end
  local accepted, _, name, letter, parcel, id_length = unpack_letter(text)
  local sid = call('HGET', P .. 'sids', name)
  if not sid then return '\192' end
  local number = numbers(1)
  forget_letter(id)
  local kept = cmsgpack.unpack(letter)
  local k = kept.key or nil
  local m = member(now, number, (kept.head_start or 5) * 1000000, k)
  call('HSET', P .. 'b', number_of(m), pack_event(accepted, 0, ME, id_length, parcel))
  if k then insert_keyed(sid, m) else call('ZADD', key('q', sid), score(score_of(m)), m) end
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

-- Runs of workflows. r:ID is a hash:
--   wf, st, aw      workflow, state, the state in which it goes on once it is woken
--   in, dg, rs, ln  input, digest, result, lane
--   nr              its number: runs begin in this order
--   by, no          the session that began it, and the number of its call; that one watches it until it is over
--   tk, ow, inc     token of its last loan; who has it, under which lease
--   ls, due         losses; when it may be taken up, where it waits
--   ca, ch, sa      when it began, was written to last, may be taken up first
--   an              the answer to the events that it was concluded with
-- rj:ID is its journal: a hash from `KIND KEY` to the position and the body; rv:ID who else watches it.
-- `rc` counts how many have begun of what is to end after so many. `rt` finds runs by tokens, `rl` by lanes; rx:STATE sorts `WORKFLOW\0ID`; `rf` has when those that are over are forgotten.

local OVER = {succeeded = true, failed = true, cancelled = true}
local ASLEEP = {succeeded = true, failed = true, cancelled = true, needs_attention = true, parked = true}
local MOST_FORGOTTEN = 100

local function lend_run(id)
  local run = key('r', id)
  local found = call('HMGET', run, 'tk', 'wf', 'nr')
  local token = score(numbers(1))
  if found[1] then call('HDEL', P .. 'rt', found[1]) end
  call('HSET', P .. 'rt', token, id)
  call('HSET', run, 'tk', token, 'ow', ME, 'inc', INC)
  call('HDEL', run, 'due')
  call('ZREM', key('rq', found[2]), run_member(found[3], id))
  call('SADD', key('ro', INC), id)
  call('HSET', P .. 'ri', INC, ME)
end

-- The run that a token of this session's lease is for; nil where it is worth nothing.
local function lent_run(token)
  local id = call('HGET', P .. 'rt', score(token))
  if id and call('HGET', key('r', id), 'inc') == INC then return id end
end

local function no_longer_lent(id) call('SREM', key('ro', INC), id) end

local function index_run(id, workflow, before, after)
  local member = workflow .. '\0' .. id
  if before then call('ZREM', key('rx', before), member) end
  if after then call('ZADD', key('rx', after), 0, member) end
end

local function set_state(id, state)
  local run = key('r', id)
  local found = call('HMGET', run, 'st', 'wf')
  if found[1] == state then return false end
  call('HSET', run, 'st', state)
  index_run(id, found[2], found[1], state)
  return true
end

-- The field of an entry {KIND, KEY}.
local function entry_field(entry)
  return struct.pack('>I2', #entry[1]) .. entry[1] .. entry[2]
end

-- Write entries {KIND, KEY, BODY} that are not there yet.
local function write_run(id, entries)
  local journal = key('rj', id)
  local n = call('HLEN', journal)
  local before = n
  for _, entry in ipairs(entries) do
    if call('HSETNX', journal, entry_field(entry), struct.pack('>I4', n) .. entry[3]) == 1 then n = n + 1 end
  end
  if n > before then call('HSET', key('r', id), 'ch', score(now)) end
end

-- Telling

local function tell_of_run(session, id) notify(session, '\149\160' .. str(id) .. bin('') .. '\192\160') end

local function watch_run(id)
  local found = call('HMGET', key('r', id), 'by', 'st')
  if found[1] ~= ME and not OVER[found[2]] then call('SADD', key('rv', id), ME) end
end

local function tell_watchers(id, but)
  local by = call('HGET', key('r', id), 'by')
  if by ~= but and by ~= '' then tell_of_run(by, id) end
  for _, session in ipairs(call('SMEMBERS', key('rv', id))) do
    if session ~= but then tell_of_run(session, id) end
  end
end

-- Forgetting

local function forget_run(id)
  local run = key('r', id)
  local found = call('HMGET', run, 'wf', 'st', 'tk', 'ln')
  if not found[1] then return end
  index_run(id, found[1], found[2])
  if found[3] then call('HDEL', P .. 'rt', found[3]) end
  if call('HGET', P .. 'rl', found[4]) == id then call('HDEL', P .. 'rl', found[4]) end
  call('ZREM', P .. 'rf', id)
  call('DEL', run, key('rj', id), key('rv', id))
end

local function forget_old_runs()
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'rf', '-inf', score(now), 'LIMIT', 0, MOST_FORGOTTEN)) do
    forget_run(id)
    call('ZREM', P .. 'rf', id) -- also where somebody else has deleted the run
  end
end

-- Answers

local function seconds(text) return double(tonumber(text) / 1000000) end

local function run_piece(id)
  local f = call('HMGET', key('r', id), 'wf', 'st', 'in', 'dg', 'rs', 'ow', 'ls', 'ca', 'ch', 'sa', 'ln')
  return list({
    str(id), str(f[1]), str(f[2]), bin(f[3]), bin(f[4]), bin(f[5]), f[6] and str(f[6]) or '\192', whole(tonumber(f[7])),
    seconds(f[8]), seconds(f[9]), seconds(f[10]), whole(call('HLEN', key('rj', id))), str(f[11]),
  })
end

-- {TOKEN, the run, its entries {POSITION, KIND, KEY, BODY} in no order, the time}
local function loan_piece(id, token)
  local entries, all = {}, call('HGETALL', key('rj', id))
  for i = 1, #all, 2 do
    local length, at = struct.unpack('>I2', all[i])
    local position, body = struct.unpack('>I4', all[i + 1])
    entries[#entries + 1] = '\148' .. whole(position) .. str(string.sub(all[i], at, at + length - 1))
      .. str(string.sub(all[i], at + length)) .. bin(string.sub(all[i + 1], body))
  end
  return list({whole(token or tonumber(call('HGET', key('r', id), 'tk'))), run_piece(id), list(entries), seconds(now)})
end

local function enter_journal()
  if not enter() then return false end
  forget_old_runs()
  return true
end

-- The line of a subscription: what waits, sorted for lending.
--
-- A delivery that waits is a member `DUE NUMBER FLAG HEADSTART[|KEY]` (16, 15 and 1 characters, then the rest), in
--   q:SID      in line: a sorted set by when it was due plus its head start; of a key only the first is in it
--   dl:SID     delayed: a sorted set by when it may be lent
--   kz:SID:KEY behind another one of its key, or blocked: sorted by its place
-- The hash kh:SID has the one of each key that is in line; an empty text where the first one is blocked.
-- A blocked one, with the flag `b`, was returned for later: it is in `dl` and in `kz`, and nothing behind it is lent.
-- The hash ko:SID says who has a key, and how many of its deliveries: INCARNATION:COUNT.

local UNKEYED, KEYED, BLOCKED = 117, 107, 98 -- u, k, b
local waiting, lent = {}, {} -- changes of counters, by subscription
local indexed -- subscriptions whose waiting deliveries are indexed by age, since they may be dropped

local function member(due, number, head_start, k)
  if k then return string.format('%016.0f%015.0fk%.0f|%s', due, number, head_start, k) end
  return string.format('%016.0f%015.0fu%.0f', due, number, head_start)
end

local function flag_of(m) return string.byte(m, 32) end

local function with_flag(m, flag) return string.sub(m, 1, 31) .. flag .. string.sub(m, 33) end

local function number_of(m) return string.sub(m, 17, 31) end

local function due_of(m) return tonumber(string.sub(m, 1, 16)) end

local function key_of(m)
  local bar = string.find(m, '|', 33, true)
  return bar and string.sub(m, bar + 1)
end

local function score_of(m)
  local bar = string.find(m, '|', 33, true)
  return due_of(m) + tonumber(string.sub(m, 33, bar and bar - 1))
end

local function score(number) return string.format('%.0f', number) end

local function count(counters, sid, change) counters[sid] = (counters[sid] or 0) + change end

local function flush_counters()
  for sid, change in pairs(waiting) do
    if change ~= 0 then call('HINCRBY', P .. 'w', sid, change) end
  end
  for sid, change in pairs(lent) do
    if change ~= 0 then call('HINCRBY', P .. 'lc', sid, change) end
  end
  waiting, lent = {}, {}
end

local function is_indexed(sid)
  if not indexed then
    indexed = {}
    for _, each in ipairs(call('SMEMBERS', P .. 'ix')) do indexed[each] = true end
  end
  return indexed[tostring(sid)]
end

local function index(sid, m)
  if is_indexed(sid) then call('ZADD', key('a', sid), number_of(m), m) end
end

local function unindex(sid, m)
  if is_indexed(sid) then call('ZREM', key('a', sid), m) end
end

-- Put the first of a key in line, and nothing else of it. `head` is the one that is in line.
local function rehead(sid, k, head)
  local kz, kh = key('kz', sid .. ':' .. k), key('kh', sid)
  local first = call('ZRANGE', kz, 0, 0)[1]
  if head and head ~= '' then
    if not first or head < first then
      call('HSET', kh, k, head)
      return
    end
    call('ZREM', key('q', sid), head)
    call('ZADD', kz, 0, head)
  end
  if not first then
    call('HDEL', kh, k)
  elseif flag_of(first) == KEYED then
    call('ZREM', kz, first)
    call('ZADD', key('q', sid), score(score_of(first)), first)
    call('HSET', kh, k, first)
  else
    call('HSET', kh, k, '')
  end
end

local function insert_keyed(sid, m)
  local k = key_of(m)
  local kh = key('kh', sid)
  local head = call('HGET', kh, k)
  if not head and flag_of(m) == KEYED then
    call('HSET', kh, k, m)
    call('ZADD', key('q', sid), score(score_of(m)), m)
    return
  end
  call('ZADD', key('kz', sid .. ':' .. k), 0, m)
  if not head or head == '' or m < head then rehead(sid, k, head) end
end

-- A delivery waits again, in its old place, but not before a time.
local function put_back(sid, m, attempts, losses, not_before)
  local field = sid .. ':' .. number_of(m)
  if attempts > 0 or losses > 0 then
    call('HSET', P .. 'm', field, string.format('%d:%d', attempts, losses))
  else
    call('HDEL', P .. 'm', field)
  end
  local keyed = flag_of(m) ~= UNKEYED
  if not_before > now then
    if keyed then
      m = with_flag(m, 'b')
      insert_keyed(sid, m)
    end
    call('ZADD', key('dl', sid), score(not_before), m)
  elseif keyed then
    m = with_flag(m, 'k')
    insert_keyed(sid, m)
  else
    call('ZADD', key('q', sid), score(score_of(m)), m)
  end
  index(sid, m)
  count(waiting, sid, 1)
  count(lent, sid, -1)
  tell_servers(sid, MAIL)
end

-- So many deliveries of a key are no longer lent.
local function release_key(sid, k, by)
  local ko = key('ko', sid)
  local owner = call('HGET', ko, k)
  if not owner then return end
  local incarnation, held = string.match(owner, '^(%d+):(%d+)$')
  if tonumber(held) > by then
    call('HSET', ko, k, incarnation .. ':' .. (tonumber(held) - by))
  else
    call('HDEL', ko, k)
    if call('HEXISTS', key('kh', sid), k) == 1 then tell_servers(sid, MAIL) end
  end
end

-- Let those that are due get in line; when the next one is due.
local MOST_AT_ONCE = 5000

local function promote(sid)
  local dl = key('dl', sid)
  local first = call('ZRANGE', dl, 0, 0, 'WITHSCORES')
  if not first[1] or tonumber(first[2]) > now then return tonumber(first[2]) end
  local due = call('ZRANGEBYSCORE', dl, '-inf', score(now), 'LIMIT', 0, MOST_AT_ONCE)
  call('ZREMRANGEBYRANK', dl, 0, #due - 1)
  local line = {}
  for _, m in ipairs(due) do
    local flag = flag_of(m)
    if flag == UNKEYED then
      line[#line + 1] = score(score_of(m))
      line[#line + 1] = m
    elseif flag == KEYED then
      insert_keyed(sid, m)
    else
      local k = key_of(m)
      call('ZREM', key('kz', sid .. ':' .. k), m)
      unindex(sid, m)
      m = with_flag(m, 'k')
      index(sid, m)
      call('ZADD', key('kz', sid .. ':' .. k), 0, m)
      rehead(sid, k, call('HGET', key('kh', sid), k))
    end
  end
  many('ZADD', key('q', sid), line)
  return tonumber(call('ZRANGE', dl, 0, 0, 'WITHSCORES')[2])
end

-- What waits is taken out, wherever it is.
local function take_out(sid, m)
  local was_in_line = call('ZREM', key('q', sid), m) == 1
  if not was_in_line then call('ZREM', key('dl', sid), m) end
  if flag_of(m) ~= UNKEYED then
    local k = key_of(m)
    call('ZREM', key('kz', sid .. ':' .. k), m)
    local head = call('HGET', key('kh', sid), k)
    if head then rehead(sid, k, not was_in_line and head or nil) end
  end
  unindex(sid, m)
  count(waiting, sid, -1)
end

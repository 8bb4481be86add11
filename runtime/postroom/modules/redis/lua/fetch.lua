-- names, counts
local function owners_of(sid, page)
  local keys, found = {}, {}
  for _, m in ipairs(page) do
    local k = key_of(m)
    if k then keys[#keys + 1] = k end
  end
  local owners = gather('HMGET', key('ko', sid), keys)
  for i, k in ipairs(keys) do
    if owners[i] then found[k] = owners[i] end
  end
  return found
end

local function earlier(one, other) -- by rank, then by place
  if one.score ~= other.score then return one.score < other.score end
  if one.rank ~= other.rank then return one.rank < other.rank end
  return one.m < other.m
end

-- Take what may be lent where there are keys: no key of another session's, and none before its turn.
local function choose(sid, wanted)
  local q, ko, kh = key('q', sid), key('ko', sid), key('kh', sid)
  local taken, from_line, touched, held, followers = {}, {}, {}, {}, {}
  local offset, page, at, owners = 0, {}, 1, {}
  local size = math.min(math.max(wanted, 10), CHUNK / 2)

  local function head()
    while true do
      if at > #page then
        page = call('ZRANGE', q, offset, offset + size - 1)
        if #page == 0 then return nil end
        offset, at, owners = offset + #page, 1, owners_of(sid, page)
      end
      local m = page[at]
      local k = key_of(m)
      local owner = k and owners[k]
      if not owner or string.match(owner, '^%d+') == INC then
        if owner then held[k] = held[k] or tonumber(string.match(owner, '%d+$')) end
        return {m = m, k = k, score = score_of(m), rank = string.sub(m, 1, 31)}
      end
      at = at + 1
    end
  end

  while #taken < wanted do
    local item, follower = head(), followers[1]
    if not item and not follower then break end
    if follower and (not item or earlier(follower, item)) then
      item = table.remove(followers, 1)
      call('ZREM', key('kz', sid .. ':' .. item.k), item.m)
    else
      at = at + 1
      from_line[#from_line + 1] = item.m
    end
    taken[#taken + 1] = item.m
    if item.k then
      touched[item.k] = true
      held[item.k] = (held[item.k] or 0) + 1
      local next_one = call('ZRANGE', key('kz', sid .. ':' .. item.k), 0, 0)[1]
      if next_one and flag_of(next_one) == KEYED then
        -- Within a key order beats priority: what comes after this one goes behind it.
        local behind = {m = next_one, k = item.k, score = score_of(next_one), rank = string.sub(next_one, 1, 31)}
        if behind.score < item.score or (behind.score == item.score and behind.rank < item.rank) then
          behind.score, behind.rank = item.score, item.rank
        end
        local position = 1
        while followers[position] and earlier(followers[position], behind) do position = position + 1 end
        table.insert(followers, position, behind)
      end
    end
  end

  many('ZREM', q, from_line)
  local owned = {}
  for k in pairs(touched) do
    owned[#owned + 1] = k
    owned[#owned + 1] = INC .. ':' .. held[k]
    rehead(sid, k, nil)
  end
  many('HSET', ko, owned)
  return taken
end

local function take(sid, wanted)
  local q = key('q', sid)
  local page = call('ZRANGE', q, 0, wanted - 1)
  for _, m in ipairs(page) do
    if flag_of(m) ~= UNKEYED then return choose(sid, wanted) end
  end
  if #page > 0 then call('ZREMRANGEBYRANK', q, 0, #page - 1) end
  return page
end

local loans, heads, records = {}, {}, {}

local function counts_of(sid, members)
  if call('EXISTS', P .. 'm') == 0 then return {} end
  local fields = {}
  for i, m in ipairs(members) do fields[i] = sid .. ':' .. number_of(m) end
  return gather('HMGET', P .. 'm', fields)
end

local function lend(position, sid, wanted)
  local members = take(sid, wanted)
  local n = #members
  if n == 0 then return 0 end
  local fields = {}
  for i, m in ipairs(members) do fields[i] = number_of(m) end
  local events = gather('HMGET', P .. 'b', fields)
  local counts = counts_of(sid, members)
  local token = numbers(n) - n
  for i, m in ipairs(members) do
    local event = events[i] or MISSING
    local _, flags, watcher, id = unpack_event(event)
    local attempts, losses = 0, 0
    if counts[i] then
      local a, l = string.match(counts[i], '^(%d+):(%d+)$')
      attempts, losses = tonumber(a), tonumber(l)
    end
    token = token + 1
    loans[#loans + 1] = score(token)
    loans[#loans + 1] = pack_loan(sid, flags, watcher, id, attempts, losses, 0, m)
    heads[#heads + 1] = struct.pack('>I2I8dI4I4', position, token, (now - due_of(m)) / 1000000, attempts, losses)
    records[#records + 1] = event
    unindex(sid, m)
  end
  count(waiting, sid, -n)
  count(lent, sid, n)
  return n
end

local function lend_at_rate(position, sid, wanted) -- returns when more may be lent, where the rate has cut it short
  local interval, burst, due = rate_of(sid)
  if not interval then
    if wanted > 0 then lend(position, sid, wanted) end
    return nil
  end
  local allowed = may_lend(interval, burst, due)
  local n, most = 0, math.min(wanted, allowed)
  if most > 0 then n = lend(position, sid, most) end
  due = attempted(sid, interval, due, n)
  if n == allowed and allowed < wanted then return due - (burst - 1) * interval end
end

local function main()
  if not enter() then return GONE end
  exempt()
  local names, wanted = A[5], A[6]
  local sids = gather('HMGET', P .. 'sids', names)
  local paused = gather('HMGET', P .. 'paused', names)
  local next_due
  for i = 1, #names do
    if sids[i] and not paused[i] then
      local sid = tonumber(sids[i])
      local due = promote(sid)
      if due and (not next_due or due < next_due) then next_due = due end
      local opening = lend_at_rate(i - 1, sid, wanted[i])
      if opening and (not next_due or opening < next_due) then next_due = opening end
    end
  end
  many('HSET', key('l', INC), loans)
  if #heads > 0 then tell_of_room() end
  -- A list: what is next due, what was lent, and the events just as they are stored.
  local due = next_due and struct.pack('>d', math.max(0, next_due - now) / 1000000) or ''
  table.insert(records, 1, due)
  table.insert(records, 2, table.concat(heads))
  return records
end

local result = main()
leave_script()
return result

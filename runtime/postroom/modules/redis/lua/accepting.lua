-- Accepting events: who gets them, whether there is room, and what is written of them.
--
-- TARGETS: {SID, NAME, BACKLOG or false, OVERFLOW, outcome of a dropped one before and after its attempts}
-- SETS: lists of positions in TARGETS. A run of plain events, which have none of what comes after DELAY, and no delay:
-- {SET, length of their ids, HOW MANY, HEAD START}; any other event: {SET, length of its id, PARCEL of id and body, HEAD START, DELAY, KEY, DIGEST,
-- ID, NAME where it has to have a subscriber}. KEY and DIGEST are nil where there are none.

local TARGETS, SETS
local WALL -- when this is accepted, in seconds
local bodies, lines, counts, mail = {}, {}, {}, {}
local next_number, last_number = 0, -1
local names_of_set = {}

local COALESCED = 'a newer one of the same key took its place (overflow: coalesce)'

local function flush_accepted()
  many('HSET', P .. 'b', bodies)
  many('HSET', P .. 'p', counts)
  for sid, line in pairs(lines) do many('ZADD', key('q', sid), line) end
  bodies, counts, lines = {}, {}, {}
end

local function names_piece(set)
  local found = names_of_set[set]
  if not found then
    local pieces = {}
    for _, position in ipairs(SETS[set]) do pieces[#pieces + 1] = str(TARGETS[position][2]) end
    found = list(pieces)
    names_of_set[set] = found
  end
  return found
end

-- An event of a chosen id that is remembered: its record's digest, or nil.
local function digest_of(id)
  local found = call('HMGET', key('e', id), 'digest', 'left', 'forget')
  if not found[1] then return nil end
  if tonumber(found[2]) <= 0 and tonumber(found[3]) <= now then
    call('DEL', key('e', id))
    return nil
  end
  return found[1]
end

local function outcomes_piece(fields)
  local pieces, n = {}, 0
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 2) == 'o:' then
      n = n + 1
      pieces[n] = str(string.sub(fields[i], 3)) .. bin(fields[i + 1])
    end
  end
  return '\223' .. struct.pack('>I4', n) .. table.concat(pieces)
end

-- What became of an event that was accepted before, with that one's body or another; `watcher` hears of it from now on.
local function known_piece(id, watcher, body)
  local record = key('e', id)
  local fields = call('HGETALL', record)
  local of = {}
  for i = 1, #fields, 2 do of[fields[i]] = fields[i + 1] end
  if not string.find('\n' .. of.watchers .. '\n', '\n' .. watcher .. '\n', 1, true) then
    call('HSET', record, 'watchers', of.watchers .. '\n' .. watcher)
  end
  body = body or bin(string.sub(of.parcel, tonumber(of.id_length) + 1))
  return '\148' .. double(tonumber(of.accepted)) .. of.names .. outcomes_piece(fields) .. body
end

local function waiting_of(sid)
  return tonumber(call('HGET', P .. 'w', sid) or 0) + (waiting[sid] or 0)
end

local function newest_of_key(sid, k)
  local own = call('ZREVRANGE', key('a', sid), 0, -1)
  for _, m in ipairs(own) do
    if key_of(m) == k then return m end
  end
end

-- How many places events take: where they coalesce, those of one key take one, and none where one of it waits already.
local function places_of(target, events)
  if target[4] ~= 'coalesce' then return #events end
  local seen, places = {}, 0
  for _, event in ipairs(events) do
    local k = event[6]
    if not k then
      places = places + 1
    elseif not seen[k] then
      seen[k] = true
      if not newest_of_key(target[1], k) then places = places + 1 end
    end
  end
  return places
end

-- Why none of these events can be accepted; nil where they can.
local function refusal(events)
  local wanted, order = nil, {}
  for _, event in ipairs(events) do
    local known = event[7] and digest_of(event[8])
    if known then
      if known ~= event[7] then return '\146\2' .. str(event[8]) end
    else
      local set = SETS[event[1]]
      if event[9] and #set == 0 then return '\146\1' .. str(event[9]) end
      if set.bounded then
        wanted = wanted or {}
        for _, position in ipairs(set) do
          if not wanted[position] then
            order[#order + 1] = position
            wanted[position] = {}
          end
          table.insert(wanted[position], event)
        end
      end
    end
  end
  for _, position in ipairs(order) do
    local target, those = TARGETS[position], wanted[position]
    local overflow = target[4]
    if target[3] and (overflow == 'wait' or overflow == 'coalesce') then
      local there, places = waiting_of(target[1]), places_of(target, those)
      -- More than ever fit go in once nothing waits, or they would never.
      if there > 0 and places > 0 and there + places > target[3] then
        call('SADD', P .. 'ref', ME)
        return '\147\3' .. str(target[2]) .. whole(target[3])
      end
    end
  end
end

local function dropped(target, attempts) return target[5] .. attempts .. target[6] end

-- Make room as the overflow says; the outcome of the new one where it is dropped itself.
local function make_room(target, event)
  local sid = target[1]
  local function outcome_of(attempts) return dropped(target, attempts) end
  if target[4] == 'coalesce' then
    flush_accepted()
    local same = event[6] and newest_of_key(sid, event[6])
    if same then drop(sid, target[2], same, outcome_of) end
  elseif waiting_of(sid) >= target[3] then
    if target[4] == 'drop_newest' then return dropped(target, '0') end
    if target[4] == 'drop_oldest' then
      flush_accepted()
      drop(sid, target[2], call('ZRANGE', key('a', sid), 0, 0)[1], outcome_of)
    end
  end
end

local function enqueue(target, event, number, due)
  local sid, k = target[1], event[6]
  local m = member(due, number, event[4], k)
  if event[5] > 0 then
    call('ZADD', key('dl', sid), score(due), m)
  elseif k then
    insert_keyed(sid, m)
  else
    local line = lines[sid]
    if not line then
      line = {}
      lines[sid] = line
    end
    line[#line + 1] = score(due + event[4])
    line[#line + 1] = m
  end
  if target[3] then index(sid, m) end
  count(waiting, sid, 1)
  mail[sid] = true
end

local FRESH = '\192'

local function accept_one(event, watcher, body)
  if event[7] and digest_of(event[8]) then return known_piece(event[8], watcher, body) end
  local number = next_number
  next_number = next_number + 1
  local set = SETS[event[1]]
  local due = now + event[5]
  local id = string.sub(event[3], 1, event[2])
  local enqueued, outcomes = 0, nil
  for _, position in ipairs(set) do
    local target = TARGETS[position]
    local outcome = target[3] and make_room(target, event)
    if outcome then
      outcomes = outcomes or {}
      outcomes[#outcomes + 1] = {target[2], outcome}
    else
      enqueue(target, event, number, due)
      enqueued = enqueued + 1
    end
  end
  local flags = 0
  if event[7] then
    flags = HAS_RECORD
    local record = key('e', event[8])
    call('HSET', record, 'digest', event[7], 'accepted', string.format('%.17g', WALL), 'names', names_piece(event[1]),
      'parcel', event[3], 'id_length', event[2], 'watchers', watcher, 'left', enqueued, 'forget', score(now + WINDOW))
    for _, each in ipairs(outcomes or {}) do call('HSET', record, 'o:' .. each[1], each[2]) end
    if enqueued == 0 then retire(record, now + WINDOW) end
  elseif enqueued > 1 then
    flags = HAS_SHARES
    counts[#counts + 1] = string.format('%015.0f', number)
    counts[#counts + 1] = enqueued
  end
  if enqueued > 0 then
    bodies[#bodies + 1] = string.format('%015.0f', number)
    bodies[#bodies + 1] = pack_event(WALL, flags, watcher, event[2], event[3])
  end
  if not outcomes then return FRESH end
  local fields = {}
  for _, each in ipairs(outcomes) do
    notify(watcher, notice_of_outcome(id, each[1], each[2]))
    fields[#fields + 1] = 'o:' .. each[1]
    fields[#fields + 1] = each[2]
  end
  return '\148' .. double(WALL) .. names_piece(event[1]) .. outcomes_piece(fields) .. (body or FRESH)
end

-- Plain events whose subscriptions take all that comes: the same as `accept_one` for each, but most of it once for all.
-- Their parcels are arguments of the script, from `at` on.
local function accept_run(run, at)
  local positions, n, first = SETS[run[1]], run[3], next_number
  next_number = next_number + n
  if #positions == 0 then return end
  local due = string.format('%016.0f', now)
  local tail = string.format('u%.0f', run[4])
  local rank = score(now + run[4])
  local shared = #positions > 1
  local header = pack_event(WALL, shared and HAS_SHARES or 0, ME, run[2], '')
  local members, b, c = {}, #bodies, #counts
  for i = 0, n - 1 do
    local number = string.format('%015.0f', first + i)
    bodies[b + 1], bodies[b + 2] = number, header .. ARGV[at + i]
    b = b + 2
    if shared then
      counts[c + 1], counts[c + 2] = number, #positions
      c = c + 2
    end
    members[i + 1] = due .. number .. tail
  end
  for _, position in ipairs(positions) do
    local sid = TARGETS[position][1]
    local line = lines[sid] or {}
    lines[sid] = line
    local l = #line
    for i = 1, n do
      line[l + 1], line[l + 2] = rank, members[i]
      l = l + 2
    end
    count(waiting, sid, n)
    mail[sid] = true
  end
end

-- Each event by itself, with its parcel; and where the next emit's begin.
local function one_by_one(events, at)
  local all = {}
  for _, event in ipairs(events) do
    for _ = 1, event[3] or 1 do
      local copy = {}
      for field = 1, 9 do copy[field] = event[field] end
      copy[3], copy[5], at = ARGV[at], event[5] or 0, at + 1
      all[#all + 1] = copy
    end
  end
  return all, at
end

local function prepare(targets, sets)
  TARGETS, SETS = targets, sets
  WALL = now / 1000000
  for _, set in ipairs(sets) do
    for _, position in ipairs(set) do
      if targets[position][3] then set.bounded = true end
    end
  end
end

local function reserve(events)
  last_number = numbers(events)
  next_number = last_number - events + 1
end

local function flush_publishing(but)
  flush_accepted()
  flush_ended()
  for sid in pairs(mail) do tell_servers(sid, MAIL, but) end
end

-- The end of deliveries.
--
-- The hash `b` has events by number: a header, then the session that published it, its id and its body. They are sent
-- as they are to who gets them: see wire.py. Flags of an event: HAS_RECORD, there is e:ID, since its user chose the id; HAS_SHARES, `p` counts its
-- deliveries; with neither it has one delivery and goes with it.
-- e:ID: digest, accepted, names (packed), parcel (id and body), id_length, watchers, left, forget, and o:SUBSCRIPTION for each outcome.

local EVENT = '>dBI2I2'
local ended, shares = {}, {} -- numbers of events

local function pack_event(accepted, flags, watcher, id_length, parcel)
  return struct.pack(EVENT, accepted, flags, #watcher, id_length) .. watcher .. parcel
end

-- When it was accepted, its flags, its session, its id, and where its body begins.
local function unpack_event(text)
  local accepted, flags, w, i, at = struct.unpack(EVENT, text)
  local parcel = at + w
  return accepted, flags, string.sub(text, at, parcel - 1), string.sub(text, parcel, parcel + i - 1), parcel + i
end

-- What is written of an event. Somebody else may have deleted it: what is left then is a delivery that nobody can read,
-- which ends as a dead letter.
local MISSING = pack_event(0, 0, '', 0, '')

local function event_of(number) return call('HGET', P .. 'b', number) or MISSING end

local function name_of(sid) return call('HGET', P .. 'nm', sid) end

local function retire(record, forget)
  if forget <= now then
    call('DEL', record)
  else
    call('HSET', record, 'forget', score(forget))
    call('PEXPIRE', record, score(math.ceil((forget - now) / 1000)))
  end
end

-- One that was waiting or lent has its outcome; it is out of both already.
local function over(sid, name, number, flags, watcher, id, outcome, settler)
  if bit.band(flags, HAS_RECORD) ~= 0 then
    local record = key('e', id)
    local found = call('HMGET', record, 'watchers', 'forget')
    name = name or name_of(sid)
    call('HSET', record, 'o:' .. name, outcome)
    for each in string.gmatch(found[1], '[^\n]+') do
      if each ~= settler then notify(each, notice_of_outcome(id, name, outcome)) end
    end
    if call('HINCRBY', record, 'left', -1) <= 0 then
      ended[#ended + 1] = number
      retire(record, tonumber(found[2]))
    end
    return
  end
  if watcher ~= settler then notify(watcher, notice_of_outcome(id, name or name_of(sid), outcome)) end
  if bit.band(flags, HAS_SHARES) ~= 0 then
    shares[number] = (shares[number] or 0) + 1
  else
    ended[#ended + 1] = number
  end
end

local function flush_ended()
  local these = {}
  for number in pairs(shares) do these[#these + 1] = number end
  if #these > 0 then
    local left, changed, gone = gather('HMGET', P .. 'p', these), {}, {}
    for i, number in ipairs(these) do
      local rest = tonumber(left[i] or 0) - shares[number]
      if rest > 0 then
        changed[#changed + 1] = number
        changed[#changed + 1] = rest
      else
        gone[#gone + 1] = number
        ended[#ended + 1] = number
      end
    end
    many('HDEL', P .. 'p', gone)
    many('HSET', P .. 'p', changed)
    shares = {}
  end
  many('HDEL', P .. 'b', ended)
  ended = {}
end

-- Something that waits goes without being lent.
local function drop(sid, name, m, outcome_of)
  take_out(sid, m)
  local number = number_of(m)
  local _, flags, watcher, id = unpack_event(event_of(number))
  local field = sid .. ':' .. number
  local counts = call('HGET', P .. 'm', field)
  if counts then call('HDEL', P .. 'm', field) end
  local attempts = counts and string.match(counts, '^%d+') or '0'
  over(sid, name, number, flags, watcher, id, outcome_of(attempts), nil)
end

-- What sessions are told. Each has a stream, which is there as long as the session is; entries are gathered, and
-- written at the end of the script. Of one kind of flag no more than one entry is unread.

local MAIL, ROOM, ROUTES, LOST = 1, 2, 4, 8
local flags, notices = {}, {}

local function tell(session, flag)
  flags[session] = bit.bor(flags[session] or 0, flag)
end

local function tell_all(flag, but)
  for _, session in ipairs(call('ZRANGE', P .. 'lease', 0, -1)) do
    if session ~= but then tell(session, flag) end
  end
end

local function tell_servers(sid, flag, but)
  for _, session in ipairs(call('SMEMBERS', key('v', sid))) do
    if session ~= but then tell(session, flag) end
  end
end

local function notify(session, piece)
  local own = notices[session]
  if own then own[#own + 1] = piece else notices[session] = {piece} end
end

local function notice_of_outcome(id, name, outcome)
  return '\149' .. str(id) .. str(name) .. bin(outcome) .. '\192\160'
end

local function tell_of_room()
  if call('EXISTS', P .. 'ref') == 0 then return end
  for _, session in ipairs(call('SMEMBERS', P .. 'ref')) do tell(session, ROOM) end
  call('DEL', P .. 'ref')
end

local function flush_telling()
  for session, own in pairs(notices) do
    local id = string.format('%.0f-0', numbers(1))
    local body = table.concat(own)
    call('XADD', key('s', session), 'NOMKSTREAM', id, 'c', #own, 'n', body)
  end
  for session, flag in pairs(flags) do
    local told = tonumber(call('HGET', P .. 'mk', session) or 0)
    local new = bit.band(flag, bit.bnot(told))
    if new ~= 0 then
      local id = string.format('%.0f-0', numbers(1))
      if call('XADD', key('s', session), 'NOMKSTREAM', id, 'f', new) then
        call('HSET', P .. 'mk', session, bit.bor(told, new))
      end
    end
  end
  flags, notices = {}, {}
end

-- What every script begins with: its arguments, the time, and the session that calls.
--
-- All keys begin with the namespace's tag, so they are in one slot of a cluster; KEYS[1] names the slot.
-- Times are in microseconds of the server's clock: whole numbers below 2^53.
-- Numbers of events, tokens and notices come from one counter, so that they sort by age.

local call = redis.call
if redis.replicate_commands then redis.replicate_commands() end -- before Redis 7: replicate effects, not the script
local P = string.sub(KEYS[1], 1, -6)
local A = cmsgpack.unpack(ARGV[1])
local ME, LEASE, WINDOW = A[1], A[3], A[4]
local now = A[2]
if not now then
  local time = call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local LINGER = 600000 -- ms for which a session that was taken for dead may come back and hear what it missed
local CHUNK = 1000 -- arguments of one command; Lua's stack has a limit

local function key(kind, of) return P .. kind .. ':' .. of end

local function numbers(count) -- the last one of so many new ones
  return call('HINCRBY', P .. 'state', 'n', count)
end

-- Under `maxmemory`, Redis refuses what may need memory unless the script has written before: what frees memory in
-- the end, or keeps a session alive, begins with this.
local function exempt() call('DEL', P .. 'nothing') end

local function many(command, k, arguments) -- a command with any number of arguments; an even CHUNK keeps pairs together
  local n = #arguments
  if n == 0 then return end
  if n <= CHUNK then return call(command, k, unpack(arguments)) end
  for i = 1, n, CHUNK do call(command, k, unpack(arguments, i, math.min(i + CHUNK - 1, n))) end
end

local function gather(command, k, arguments) -- the same, with its answers
  local n = #arguments
  if n == 0 then return {} end
  if n <= CHUNK then return call(command, k, unpack(arguments)) end
  local all = {}
  for i = 1, n, CHUNK do
    for _, each in ipairs(call(command, k, unpack(arguments, i, math.min(i + CHUNK - 1, n)))) do
      all[#all + 1] = each
    end
  end
  return all
end

-- Answers are msgpack, put together from pieces that were packed before.

local function str(text)
  local n = #text
  if n < 32 then return string.char(160 + n) .. text end
  return '\219' .. struct.pack('>I4', n) .. text
end

local function bin(bytes)
  local n = #bytes
  if n < 256 then return '\196' .. string.char(n) .. bytes end
  return '\198' .. struct.pack('>I4', n) .. bytes
end

local function double(number) return '\203' .. struct.pack('>d', number) end

local function whole(number) return '\207' .. struct.pack('>I8', number) end

local function list(pieces)
  local n = #pieces
  if n < 16 then return string.char(144 + n) .. table.concat(pieces) end
  return '\221' .. struct.pack('>I4', n) .. table.concat(pieces)
end

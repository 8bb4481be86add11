-- Dead letters: `dead` has them by id; `dz` and dz:SUBSCRIPTION sort the ids.
local LETTER = '>ddI2I2I4'

local function unpack_letter(text)
  local accepted, time, n, i, l, at = struct.unpack(LETTER, text)
  local letter = at + n
  local parcel = letter + l
  return accepted, time, string.sub(text, at, letter - 1), string.sub(text, letter, parcel - 1),
    string.sub(text, parcel), i
end

local function forget_letter(id)
  local text = call('HGET', P .. 'dead', id)
  if not text then return nil end
  local _, _, name = unpack_letter(text)
  call('HDEL', P .. 'dead', id)
  call('ZREM', P .. 'dz', id)
  call('ZREM', key('dz', name), id)
  return text
end

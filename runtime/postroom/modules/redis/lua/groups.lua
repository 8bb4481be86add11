-- Groups: g:GROUP lists what is staged, in order; gi:GROUP its ids; `gx` when each expires; `si` the ids that are staged
-- anywhere, with their digest and in how many groups.

local function staged_somewhere(id)
  local found = call('HGET', P .. 'si', id)
  return found and cmsgpack.unpack(found)
end

local function unstage(id)
  local found = staged_somewhere(id)
  if not found then return end
  if found[2] > 1 then
    call('HSET', P .. 'si', id, cmsgpack.pack({found[1], found[2] - 1}))
  else
    call('HDEL', P .. 'si', id)
  end
end

local function forget_group(group)
  call('DEL', key('g', group), key('gi', group))
  call('ZREM', P .. 'gx', group)
end

local function clear_group(group, names, reason)
  local staged = call('LRANGE', key('g', group), 0, -1)
  local keep, dropped = {}, 0
  for _, text in ipairs(staged) do
    local event = cmsgpack.unpack(text)
    if names and not names[event[2]] then
      keep[#keep + 1] = text
    else
      dropped = dropped + 1
      unstage(event[1])
      call('SREM', key('gi', group), event[1])
      notify(event[10], '\149' .. str(event[1]) .. '\160' .. bin('') .. '\192' .. str(reason))
    end
  end
  if #keep == 0 then
    forget_group(group)
  elseif dropped > 0 then
    call('DEL', key('g', group))
    many('RPUSH', key('g', group), keep)
  end
  return dropped
end

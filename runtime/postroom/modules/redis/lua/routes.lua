-- Who subscribes to what, and the version of that.
local pieces = {}
local all = call('HGETALL', P .. 'subs')
for i = 1, #all, 2 do
  pieces[#pieces + 1] = list({whole(tonumber(all[i])), bin(all[i + 1])})
end
return list({whole(tonumber(call('HGET', P .. 'state', 'v') or 0)), list(pieces)})

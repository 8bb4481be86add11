-- subscription or false, the id after which to begin or false, how many
local k = A[5] and key('dz', A[5]) or (P .. 'dz')
local ids = call('ZRANGEBYLEX', k, A[6] and ('(' .. A[6]) or '-', '+', 'LIMIT', 0, A[7])
local pieces = {}
for i, text in ipairs(gather('HMGET', P .. 'dead', ids)) do
  local accepted, time, name, letter, parcel, n = unpack_letter(text)
  pieces[i] = '\151' .. str(ids[i]) .. str(name) .. str(string.sub(parcel, 1, n)) .. bin(string.sub(parcel, n + 1)) .. double(accepted) .. bin(letter) .. double(time)
end
return list(pieces)

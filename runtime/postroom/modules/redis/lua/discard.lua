-- ids
exempt()
local n = 0
for _, id in ipairs(A[5]) do
  if forget_letter(id) then n = n + 1 end
end
return whole(n)

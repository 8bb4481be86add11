-- tokens that the session holds
if not enter() then
  leave_script()
  return GONE
end
exempt()
local but = {}
for _, token in ipairs(A[5]) do but[score(token)] = true end
give_back(INC, but, 0)
tell_of_room()
leave_script()
return '\192'

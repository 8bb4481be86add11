-- workflow or false, states, the id after which they begin, the most of them
--
-- Of each state and workflow the first ones; whoever asked puts them together.
local function some(state, workflow, after, limit, pieces)
  local prefix = workflow .. '\0'
  local members = call('ZRANGEBYLEX', key('rx', state), '(' .. prefix .. after, '(' .. workflow .. '\1', 'LIMIT', 0, limit)
  for _, member in ipairs(members) do
    local id = string.sub(member, #prefix + 1)
    if call('EXISTS', key('r', id)) == 1 then pieces[#pieces + 1] = run_piece(id) end
  end
end

local function main()
  if not enter_journal() then return GONE end
  local pieces = {}
  for _, state in ipairs(A[6]) do
    if A[5] then
      some(state, A[5], A[7], A[8], pieces)
    else
      local from = '-'
      while true do
        local first = call('ZRANGEBYLEX', key('rx', state), from, '+', 'LIMIT', 0, 1)[1]
        if not first then break end
        local workflow = string.match(first, '^(.-)%z')
        some(state, workflow, A[7], A[8], pieces)
        from = '[' .. workflow .. '\1'
      end
    end
  end
  return list(pieces)
end

local result = main()
leave_script()
return result

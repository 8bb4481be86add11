-- workflows, counts
local function main()
  if not enter_journal() then return GONE end
  local loans, next_due = {}, nil
  for i, workflow in ipairs(A[5]) do
    local line = key('rq', workflow)
    for _, member in ipairs(call('ZRANGEBYSCORE', line, '-inf', score(now), 'LIMIT', 0, A[6][i])) do
      local id = string.sub(member, 16)
      if call('EXISTS', key('r', id)) == 1 then
        lend_run(id)
        loans[#loans + 1] = loan_piece(id)
      else
        call('ZREM', line, member) -- somebody else has deleted it
      end
    end
    local due = tonumber(call('ZRANGE', line, 0, 0, 'WITHSCORES')[2])
    if due and (not next_due or due < next_due) then next_due = due end
  end
  return list({next_due and double(math.max(0, next_due - now) / 1000000) or '\192', list(loans)})
end

local result = main()
leave_script()
return result

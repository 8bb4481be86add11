-- number, version of the routes, TARGETS, SETS, emits, how many events there are; their parcels are the arguments after
-- this, so that what may be large is copied as seldom as can be
local function has_only_runs(events)
  for _, event in ipairs(events) do
    if not event[3] or SETS[event[1]].bounded then return false end
  end
  return true
end

local function main()
  if not enter() then return GONE end
  local number, version, emits = A[5], A[6], A[9]
  local done = before(number)
  if done then return done end
  if call('HGET', P .. 'state', 'v') ~= tostring(version) then return {err = 'STALE other subscriptions'} end
  prepare(A[7], A[8])
  reserve(A[10])
  local answers, plain, at = {}, true, 2
  for i, events in ipairs(emits) do
    if has_only_runs(events) then
      answers[i] = FRESH
      for _, run in ipairs(events) do
        accept_run(run, at)
        at = at + run[3]
      end
    else
      events, at = one_by_one(events, at)
      local refused = refusal(events)
      if refused then
        answers[i], plain = refused, false
      else
        local each, fresh = {}, true
        for j, event in ipairs(events) do
          each[j] = accept_one(event, ME)
          fresh = fresh and each[j] == FRESH
        end
        answers[i] = fresh and FRESH or list({'\0', list(each)})
        plain = plain and fresh
      end
    end
  end
  flush_publishing(ME)
  return remember(number, list({double(WALL), plain and FRESH or list(answers)}))
end

local result = main()
leave_script()
return result

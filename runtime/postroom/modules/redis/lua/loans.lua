-- Loans: the hash l:INCARNATION has what a session was lent under its present lease, by token. A token that is not in
-- the caller's own hash is worth nothing.
--
-- A loan is a header, then the session that published the event, the event's id, and the member of the line.

local LOAN = '>I4BI2I2I4I4d'
local HAS_RECORD, HAS_SHARES = 1, 2 -- flags of an event: see accepting

local function pack_loan(sid, flags, watcher, id, attempts, losses, not_before, m)
  return struct.pack(LOAN, sid, flags, #watcher, #id, attempts, losses, not_before) .. watcher .. id .. m
end

local function unpack_loan(text)
  local sid, flags, w, i, attempts, losses, not_before, at = struct.unpack(LOAN, text)
  return {
    sid = sid,
    flags = flags,
    attempts = attempts,
    losses = losses,
    not_before = not_before,
    watcher = string.sub(text, at, at + w - 1),
    id = string.sub(text, at + w, at + w + i - 1),
    m = string.sub(text, at + w + i),
  }
end

-- What is lent under a lease waits again, but for some tokens; with a loss more where it was lost.
local function give_back(incarnation, but, loss)
  local loans = key('l', incarnation)
  local all = call('HGETALL', loans)
  local gone = {}
  for i = 1, #all, 2 do
    if not but[all[i]] then gone[#gone + 1] = all[i] end
  end
  many('HDEL', loans, gone)
  for i = 1, #all, 2 do
    if not but[all[i]] then
      local loan = unpack_loan(all[i + 1])
      if flag_of(loan.m) ~= UNKEYED then release_key(loan.sid, key_of(loan.m), 1) end
      put_back(loan.sid, loan.m, loan.attempts, loan.losses + loss, loan.not_before)
    end
  end
end

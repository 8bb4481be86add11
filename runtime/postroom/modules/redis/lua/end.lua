-- The session ends well: what it was lent is available at once.
exempt()
expire(true)
local incarnation = call('HGET', key('x', ME), 'inc')
if incarnation then
  give_back(incarnation, {}, 0)
  give_runs_back(incarnation, {}, 0)
end
call('ZREM', P .. 'lease', ME)
serve_no_more(ME)
call('DEL', key('x', ME), key('s', ME), key('sv', ME))
call('HDEL', P .. 'mk', ME)
call('SREM', P .. 'ref', ME)
tell_all(MAIL + ROUTES)
tell_of_room()
leave_script()
return '\192'

-- running → delayed | dead | cancelled. Answers the new state, or false: lost. An empty delay: no further attempt.
-- A job whose result was only looked for ends as it would have without the look.
local id, fence, code, message, delay_ms, ttl_ms = unpack(ARGV)

even_if_full()
if not mine(id, fence) then return false end
local end_as, due_ms = end_of(id), now_ms + (tonumber(delay_ms) or 0)
if cancel_requested(id) and not end_as then
  finish_cancelled(id, ttl_ms)
elseif delay_ms ~= '' and in_time(id, due_ms) then
  blame(id, code, message)
  await(id, 'delayed', due_ms)
elseif end_as then
  end_as(id, ttl_ms)
else
  blame(id, code, message)
  finish(id, 'dead', ttl_ms)
end
return field(id, 'state')

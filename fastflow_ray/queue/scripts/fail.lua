-- running → delayed | dead | cancelled. Answers the new state, or false: lost. An empty delay: no further attempt.
local id, fence, code, message, delay_ms, ttl_ms = unpack(ARGV)

even_if_full()
if not mine(id, fence) then return false end
if cancel_requested(id) then
  finish_cancelled(id, ttl_ms)
else
  blame(id, code, message)
  if delay_ms ~= '' and in_time(id, now_ms + tonumber(delay_ms)) then
    await(id, 'delayed', now_ms + tonumber(delay_ms))
  else
    finish(id, 'dead', ttl_ms)
  end
end
return field(id, 'state')

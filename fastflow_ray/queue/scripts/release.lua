-- running → queued at the old place, the attempt given back; a cancelled job ends instead. Answers 1, or 0: lost.
local id, fence, ttl_ms = unpack(ARGV)

if not mine(id, fence) then return 0 end
if cancel_requested(id) then
  finish_cancelled(id, ttl_ms)
else
  set(id, 'attempts', integer(math.max(count(id, 'attempts') - 1, 0)))
  make_ready(id)
end
return 1

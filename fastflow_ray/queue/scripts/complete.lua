-- running → succeeded. Answers 1, also when the same attempt says it again, or 0: lost.
-- A cancellation that the worker has not yet seen comes too late: the video is published.
local id, fence, result, ttl_ms = unpack(ARGV)

if field(id, 'fence') == fence and field(id, 'state') == 'succeeded' then return 1 end
if not mine(id, fence) then return 0 end
set(id, 'result', result)
finish(id, 'succeeded', ttl_ms)
return 1

-- Answers in how many ms there may be work: 0 now, -1: nothing is delayed either.
if redis.call('EXISTS', looks) == 1 then return 0 end
for _, lane in ipairs(LANES) do
  if not paused() and redis.call('EXISTS', turns .. lane) == 1 then return 0 end
end
local due_ms = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
return due_ms and math.max(0, tonumber(due_ms) - now_ms) or -1

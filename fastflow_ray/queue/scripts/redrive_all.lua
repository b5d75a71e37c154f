-- dead → queued, as many as one call may handle. Answers how many.
local redriven = 0
for _, id in ipairs(redis.call('ZRANGE', dead, 0, BATCH - 1)) do
  if redrive(id) then redriven = redriven + 1 else strike(id) end
end
return redriven

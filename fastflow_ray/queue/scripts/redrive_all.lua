-- dead → queued, as many as one call may handle. Answers how many were looked at, and how many of them are queued.
local ids, redriven = redis.call('ZRANGE', dead, 0, BATCH - 1), 0
for _, id in ipairs(ids) do
  if redrive(id) then redriven = redriven + 1 else strike(id) end
end
return {#ids, redriven}

-- dead → gone, as many as one call may handle. Answers how many were looked at, and how many went.
local ids = redis.call('ZRANGE', dead, 0, BATCH - 1)
for _, id in ipairs(ids) do strike(id, 'forgotten') end
return {#ids, #ids}

-- Answers the number of jobs in each state (in the order of KEYS), then submitted, then the longest wait in ms.
sweep()
local depth = {}
for _, place in ipairs({queued, delayed, running, succeeded, dead, cancelled}) do
  depth[#depth + 1] = redis.call('ZCARD', place)
end
depth[#depth + 1] = sane(redis.call('HGET', stat, 'submitted'))
local oldest = redis.call('ZRANGE', ready_since, 0, 0, 'WITHSCORES')[2]
depth[#depth + 1] = oldest and math.max(0, now_ms - tonumber(oldest)) or 0
return depth

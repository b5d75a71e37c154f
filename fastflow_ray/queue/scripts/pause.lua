-- Give out no job, for the reason said; an empty one: give them out again.
local reason = ARGV[1]

even_if_full()
if reason ~= '' then
  redis.call('HSET', cfg, 'paused', reason)
else
  redis.call('HDEL', cfg, 'paused')
  for _ = 1, math.min(redis.call('ZCARD', queued), TOKENS) do redis.call('LPUSH', wake, 'resumed') end
  redis.call('LTRIM', wake, 0, TOKENS - 1)
end

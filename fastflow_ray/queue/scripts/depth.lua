-- Answers the number of jobs in each state (in the order of KEYS), then all on the books by the counters, then the
-- longest wait in ms, then why the queue is paused, or false, then those that succeeded or died and are off the books.
even_if_full()
end_overdue(ARGV[1])
sweep()
local depth = {}
for _, place in ipairs({queued, delayed, running, succeeded, dead, cancelled}) do
  depth[#depth + 1] = redis.call('ZCARD', place)
end
local on_the_books = sane(redis.call('HGET', stat, 'submitted'))
for _, gone in ipairs({'forgotten', 'expired', 'struck'}) do
  on_the_books = on_the_books - sane(redis.call('HGET', stat, gone))
end
depth[#depth + 1] = on_the_books
local oldest = redis.call('ZRANGE', queued, 0, 0, 'WITHSCORES')[2]
depth[#depth + 1] = oldest and math.max(0, now_ms - tonumber(oldest)) or 0
depth[#depth + 1] = paused()
depth[#depth + 1] = sane(redis.call('HGET', stat, 'bygone'))
return depth

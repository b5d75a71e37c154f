-- Answers the number of jobs in each state (in the order of KEYS), then submitted, forgotten, expired, struck, then
-- listed, ready, waiting, working: each counted by a way of its own.
sweep()
local books = {}
for _, place in ipairs({queued, delayed, running, succeeded, dead, cancelled}) do
  books[#books + 1] = redis.call('ZCARD', place)
end
for _, name in ipairs({'submitted', 'forgotten', 'expired', 'struck'}) do
  books[#books + 1] = sane(redis.call('HGET', stat, name))
end
books[#books + 1] = redis.call('ZCARD', index)

local ready_to_go = redis.call('ZCARD', looks)
for _, tenant in ipairs(redis.call('HKEYS', waiting)) do
  for _, lane in ipairs(LANES) do ready_to_go = ready_to_go + redis.call('ZCARD', queue_of(lane, tenant)) end
end
books[#books + 1] = ready_to_go
for _, book in ipairs({waiting, working}) do
  local sum = 0
  for _, number in ipairs(redis.call('HVALS', book)) do sum = sum + sane(number) end
  books[#books + 1] = sum
end
return books

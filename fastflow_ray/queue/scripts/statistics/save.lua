-- Writes documents and the sequence that changed them, if nobody wrote since the revision they were made from. Answers
-- the new revision, or false: somebody did.
local REPORTERS = 10000

local made_from, worker, sequence = unpack(ARGV, 1, 3)
local latest = redis.call('GET', revision) or '0'
if latest ~= made_from then return false end

-- Counted by ones alone, a revision would be issued twice after the tail of the append-only file was lost.
local time = redis.call('TIME')
local new = math.max((tonumber(latest) or 0) + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
redis.call('SET', revision, string.format('%.0f', new))
for number = 4, #ARGV, 2 do redis.call('HSET', statistics, ARGV[number], ARGV[number + 1]) end
redis.call('HSET', sequences, worker, sequence)

-- A sequence is wanted for as long as its report may be sent again: not beyond the reports of so many other workers.
redis.call('ZADD', reporters, string.format('%.0f', new), worker)
for _, forgotten in ipairs(redis.call('ZRANGE', reporters, 0, -REPORTERS - 1)) do
  redis.call('HDEL', sequences, forgotten)
  redis.call('ZREM', reporters, forgotten)
end
return redis.call('GET', revision)

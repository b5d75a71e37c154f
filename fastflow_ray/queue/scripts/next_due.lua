-- Answers in how many ms the next delayed job is due, or -1: none is delayed.
local due_ms = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
return due_ms and math.max(0, tonumber(due_ms) - now_ms) or -1

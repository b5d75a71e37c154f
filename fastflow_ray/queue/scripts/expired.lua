-- First phase of reaping, changes nothing: {id, fence, heartbeats} of every job past its lease.
local seen = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', running, '-inf', '(' .. integer(now_ms))) do
  seen[#seen + 1] = {id, integer(count(id, 'fence')), integer(count(id, 'heartbeats'))}
end
return seen

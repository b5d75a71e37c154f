-- First phase of reaping, changes nothing: {id, fence, heartbeats} of every job past its lease.
local seen = {}
local function see(from, to)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', running, from, to)) do
    seen[#seen + 1] = {id, integer(count(id, 'fence')), integer(count(id, 'heartbeats'))}
  end
end

see('-inf', '(' .. integer(now_ms))
see('(' .. integer(furthest_ms), '+inf')
return seen

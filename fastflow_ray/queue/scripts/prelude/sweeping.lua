-- What every move shares: what time brings about is done by whoever comes by.

local BATCH = 100  -- overdue entries handled per call, so that no call stalls the server

-- What waits though nobody wants it any more.
local function end_overdue(ttl_ms)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', deadlines, '-inf', integer(now_ms), 'LIMIT', 0, BATCH)) do
    if known(id) then end_late(id, ttl_ms) else strike(id) end
  end
end

-- Redis expires the records; the ids that pointed to them go here.
local function sweep()
  for _, place in ipairs({succeeded, dead, cancelled}) do
    local ended = redis.call('ZRANGEBYSCORE', place, '-inf', integer(now_ms), 'LIMIT', 0, BATCH)
    for _, id in ipairs(ended) do strike(id) end
  end
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', integer(now_ms))
end

-- Answers {worker, its card, ms since it was heard of}, by name.
sweep()
local found = {}
for _, worker in ipairs(redis.call('ZRANGE', workers, 0, -1)) do
  local card, expires_ms = cards .. worker, tonumber(redis.call('ZSCORE', workers, worker))
  local lease_ms = sane(redis.call('HGET', card, 'lease_ms'))
  if lease_ms > 0 then
    found[#found + 1] = {worker, redis.call('HGETALL', card), integer(math.max(0, lease_ms - (expires_ms - now_ms)))}
  end
end
table.sort(found, function(one, other) return one[1] < other[1] end)
return found

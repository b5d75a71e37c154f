-- queued | delayed. Answers {'conflict'}, {'full'}, or the record.
local id, payload, digest, tenant, priority, max_attempts, delay_ms, max_queued = unpack(ARGV)

sweep()
if known(id) then
  if field(id, 'digest') ~= digest then return {'conflict'} end
  return redis.call('HGETALL', jobs .. id)
end
if redis.call('ZCARD', queued) + redis.call('ZCARD', delayed) >= tonumber(max_queued) then return {'full'} end

set(id, 'payload', payload, 'digest', digest, 'tenant', tenant, 'priority', priority, 'max_attempts', max_attempts,
  'attempts', 0, 'crashes', 0, 'fence', 0, 'heartbeats', 0, 'created_ms', integer(now_ms))
local seq = redis.call('HINCRBY', stat, 'seq', 1)
if redis.call('ZADD', index, seq, id) == 1 then redis.call('HINCRBY', stat, 'submitted', 1) end
take_turn(id, tenant, priority)
if tonumber(delay_ms) > 0 then
  move(id, 'delayed', now_ms + tonumber(delay_ms))
else
  make_ready(id)
end
return redis.call('HGETALL', jobs .. id)

-- queued | delayed. Answers {'conflict'}, {'full', whose limit it is, the limit, ms to wait}, {'late', ms to wait}, or
-- the record. The wait is the predicted one, -1 if nothing is known. Of memory, the limit is a share of all there is.
local id, payload, digest, tenant, lane, priority, max_attempts, delay_ms, patience_ms, cost, max_queued,
  max_memory_share = unpack(ARGV)

-- As the server counts when it refuses writes. It may have no limit, or its administrator may not let us ask.
local function memory_is_short()
  local told = redis.pcall('INFO', 'memory')
  if type(told) ~= 'string' then return false end
  local function bytes(name) return tonumber(string.match(told, '\n' .. name .. ':(%d+)')) or 0 end
  local limit, used = bytes('maxmemory'), bytes('used_memory') - bytes('mem_not_counted_for_evict')
  return limit > 0 and used > tonumber(max_memory_share) * limit
end

if known(id) then
  if field(id, 'digest') ~= digest then return {'conflict'} end
  return shown(id)
end
local function predict() return integer(predicted_wait_ms(lane, tenant) or -1) end

if redis.call('ZCARD', queued) + redis.call('ZCARD', delayed) >= tonumber(max_queued) then
  return {'full', 'queue', max_queued, predict()}
end
local most = allowed('max_queued', tenant)
if most and sane(redis.call('HGET', waiting, tenant)) >= most then
  return {'full', 'tenant', integer(most), predict()}
end
if memory_is_short() then return {'full', 'memory', max_memory_share, '-1'} end

if patience_ms ~= '' and delay_ms == '0' then
  local foreseen = predict()
  if tonumber(foreseen) >= tonumber(patience_ms) then return {'late', foreseen} end
end

if redis.call('ZSCORE', index, id) then strike(id) end  -- its record expired, or was deleted by hand
-- The first write, but for an id of before, has to be one that a server out of memory refuses: after any other it would
-- let all of them pass.
set(id, 'payload', payload, 'digest', digest, 'tenant', tenant, 'priority', priority, 'cost', cost,
  'patience_ms', patience_ms,
  'max_attempts', max_attempts, 'attempts', 0, 'crashes', 0, 'fence', 0, 'heartbeats', 0,
  'created_ms', integer(now_ms))
redis.call('HSET', seats, id, lane .. ':' .. tenant)
redis.call('ZADD', index, take_place(id, tonumber(priority)), id)
tally('submitted')
set_deadline(id)
if tonumber(delay_ms) > 0 then await(id, 'delayed', now_ms + tonumber(delay_ms)) else make_ready(id) end
sweep()
return shown(id)

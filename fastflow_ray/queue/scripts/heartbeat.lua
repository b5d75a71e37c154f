-- running → running. Answers 'mine', 'cancel' or 'lost'. An expired lease that nobody reaped revives.
local id, fence, lease_ms, progress = unpack(ARGV)

even_if_full()
if not mine(id, fence) then return 'lost' end
set(id, 'heartbeats', integer(count(id, 'heartbeats') + 1), 'lease_ms', lease_ms)
local worker = field(id, 'worker') or ''
heard_of(worker, lease_ms)
redis.call('HINCRBY', cards .. worker, 'beats', 1)
if progress ~= '' then set(id, 'progress', progress) end
redis.call('ZADD', running, integer(now_ms + tonumber(lease_ms)), id)
return cancel_requested(id) and 'cancel' or 'mine'

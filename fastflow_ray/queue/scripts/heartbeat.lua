-- running → running. Answers 'mine', 'cancel' or 'lost'. An expired lease that nobody reaped revives.
local id, fence, lease_ms, progress = unpack(ARGV)

even_if_full()
if not mine(id, fence) then return 'lost' end
extend(id, lease_ms)
redis.call('HINCRBY', cards .. (field(id, 'worker') or ''), 'beats', 1)
if progress ~= '' then set(id, 'progress', progress) end
return cancel_requested(id) and 'cancel' or 'mine'

-- queued → running, after promoting what is due. Answers false or {id, payload, attempt, crashes, fence, waited ms}.
-- A worker that dies at any later point finds its job in `running`, where the reaper looks.
local worker, lease_ms = unpack(ARGV)

local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', integer(now_ms), 'LIMIT', 0, BATCH)
for _, id in ipairs(due) do
  if known(id) then make_ready(id) else strike(id) end
end

local function next_ready()
  while true do
    local id = redis.call('ZRANGE', queued, 0, 0)[1]
    if not id or known(id) then return id end
    strike(id)  -- its record was deleted by hand
  end
end

local id = next_ready()
if not id then
  redis.call('DEL', wake)  -- nobody waits: old tokens mean nothing
  if redis.call('ZCARD', delayed) + redis.call('ZCARD', running) == 0 then redis.call('DEL', turns) end
  return false
end
serve_turn(id)
local waited_ms = math.max(0, now_ms - (tonumber(redis.call('ZSCORE', ready_since, id) or '') or now_ms))

-- INCR alone would issue a fence twice after the tail of the append-only file was lost; the clock does not.
local fence = integer(math.max(sane(redis.call('HGET', stat, 'fence')) + 1, now_us))
redis.call('HSET', stat, 'fence', fence)
if tonumber(lease_ms) > sane(redis.call('HGET', stat, 'longest_lease')) then
  redis.call('HSET', stat, 'longest_lease', lease_ms)
end
local attempt = integer(count(id, 'attempts') + 1)
redis.call('HDEL', jobs .. id, 'error_code', 'error_message', 'progress')
set(id, 'attempts', attempt, 'fence', fence, 'heartbeats', 0, 'worker', worker, 'claimed_ms', integer(now_ms))
move(id, 'running', now_ms + tonumber(lease_ms))
return {id, field(id, 'payload') or '', attempt, integer(count(id, 'crashes')), fence, integer(waited_ms)}

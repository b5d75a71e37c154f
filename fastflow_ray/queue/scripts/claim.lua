-- queued → running, after promoting what is due. Answers false or
-- {id, payload, attempt, crashes, fence, waited ms, 1 if its result is only to be looked for}.
-- A worker that dies at any later point finds its job in `running`, where the reaper looks.
local worker, nonce, lease_ms, ttl_ms = unpack(ARGV)

local function told(id)
  return {id, field(id, 'payload') or '', integer(count(id, 'attempts')), integer(count(id, 'crashes')),
          integer(count(id, 'fence')), integer(count(id, 'waited_ms')), end_of(id) and 1 or 0}
end

even_if_full()

-- A claim whose answer got lost comes again with the same nonce: the job is the worker's already.
local given = redis.call('HGET', latest, worker)
local is_his = given and known(given) and stands_in(given, 'running') and field(given, 'worker') == worker
if is_his and field(given, 'nonce') == nonce then
  extend(given, lease_ms)
  return told(given)
end

end_overdue(ttl_ms)
local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', integer(now_ms), 'LIMIT', 0, BATCH)
for _, id in ipairs(due) do
  if known(id) then make_ready(id) else strike(id) end
end

-- The first of a line, or of the looks.
local function first_of(line)
  while true do
    local id = redis.call('ZRANGE', line, 0, 0)[1]
    if not id or (known(id) and stands_in(id, 'queued')) then return id end
    redis.call('ZREM', line, id)
    if not known(id) then strike(id) end  -- its record was deleted by hand
  end
end

local function first_in_time(lane, tenant)
  while true do
    local id = first_of(queue_of(lane, tenant))
    if not id or in_time(id, now_ms) then return id end
    end_late(id, ttl_ms)  -- more were overdue than one call may handle
  end
end

local function next_ready()
  for _, lane in ipairs(LANES) do
    while true do
      local tenant = redis.call('ZRANGE', turns .. lane, 0, 0)[1]
      if not tenant then break end
      local id = first_in_time(lane, tenant)
      if id and not at_cap(tenant) then return id, lane, tenant end
      leave_seat(lane, tenant)  -- or it would hide the others
      if id then redis.call('SADD', capped, tenant) end
    end
  end
end

-- The job's share of its tenant's turns is paid now; `release` gives it back.
local function pay(id, lane, tenant)
  local began = tonumber(redis.call('ZSCORE', turns .. lane, tenant))
  local paid = (tonumber(field(id, 'cost') or '') or 1) / weight_of(tenant)
  redis.call('HSET', stat, 'clock:' .. lane, exact(began))
  redis.call('ZADD', turns .. lane, exact(began + paid), tenant)
  redis.call('ZREMRANGEBYSCORE', debts .. lane, '-inf', exact(began))
  set(id, 'paid', exact(paid))
end

local id, lane, tenant = first_of(looks)
if not id and not paused() then id, lane, tenant = next_ready() end
heard_of(worker, lease_ms)
if not id then
  redis.call('DEL', wake)  -- nobody waits: old tokens mean nothing
  return false
end
if lane then
  pay(id, lane, tenant)
else  -- a look is nobody's turn
  lane, tenant = seat_of(id)
  set(id, 'paid', 0)
end
local waited_ms = math.max(0, now_ms - tonumber(stands_in(id, 'queued')))

-- INCR alone would issue a fence twice after the tail of the append-only file was lost; the clock does not.
local fence = integer(math.max(sane(redis.call('HGET', stat, 'fence')) + 1, now_us))
redis.call('HSET', stat, 'fence', fence)
if tonumber(lease_ms) > sane(redis.call('HGET', stat, 'longest_lease')) then
  redis.call('HSET', stat, 'longest_lease', lease_ms)
end
redis.call('HDEL', jobs .. id, 'error_code', 'error_message', 'progress')
set(id, 'attempts', integer(count(id, 'attempts') + 1), 'fence', fence, 'heartbeats', 0, 'worker', worker,
  'nonce', nonce, 'lease_ms', lease_ms, 'claimed_ms', integer(now_ms), 'waited_ms', integer(waited_ms))
move(id, 'running', now_ms + tonumber(lease_ms))
redis.call('HSET', latest, worker, id)
add(working, tenant, 1)
return told(id)

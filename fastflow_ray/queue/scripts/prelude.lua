-- What every move shares. Above this text stand generated lines that bind the keys of keys.py to locals and name the
-- lanes in their order:
--     local queued, delayed, running, ..., jobs, ready, turns, debts, cards = unpack(KEYS)
--     local LANES = {'interactive', ...}
-- The only clock is the server's; the scripts know neither what a payload means nor who is calling.

local places = {queued = queued, delayed = delayed, running = running,
                succeeded = succeeded, dead = dead, cancelled = cancelled}
local LEVEL = 2 ^ 40  -- places of one priority lie below those of the next
local EVENTS = 10000
local TOKENS = 64
local DEBTORS = 10000
local BATCH = 100  -- overdue entries handled per call, so that no call stalls the server

local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now_us / 1000)

-- Lua on its own would write 1.7e+15.
local function integer(number)
  return string.format('%.0f', number)
end

-- All the bits of a virtual time.
local function exact(number)
  return string.format('%.17g', number)
end

-- A record is anybody's to damage by hand: what is no sane number counts as 0.
local function sane(text)
  local number = tonumber(text or '')
  if not number or number ~= number or number < 0 or number > 2 ^ 53 then return 0 end
  return math.floor(number)
end

local function known(id) return redis.call('TYPE', jobs .. id).ok == 'hash' end
local function field(id, name) return redis.call('HGET', jobs .. id, name) end
local function count(id, name) return sane(field(id, name)) end
local function set(id, ...) redis.call('HSET', jobs .. id, ...) end
local function tally(name, number) redis.call('HINCRBY', stat, name, number or 1) end

local function stands_in(id, state)
  return redis.call('ZSCORE', places[state], id)
end

-- Lane and tenant of a job; not from its record, for what others count on must not break with it.
local function seat_of(id)
  local lane, tenant = string.match(redis.call('HGET', seats, id) or '', '^(%l+):(.*)$')
  return lane or LANES[1], tenant or ''
end

-- How many jobs a tenant has waiting or working.
local function add(book, tenant, number)
  if redis.call('HINCRBY', book, tenant, number) <= 0 then redis.call('HDEL', book, tenant) end
end

-- What the operator allows a tenant: its own number, or that of '*', which stands for everybody not named.
local function allowed(name, tenant)
  return tonumber(redis.call('HGET', cfg, name .. ':' .. tenant) or redis.call('HGET', cfg, name .. ':*') or '')
end

-- Why no job is given out; false: jobs are.
local function paused() return redis.call('HGET', cfg, 'paused') end

local function weight_of(tenant) return allowed('weight', tenant) or 1 end

local function at_cap(tenant)
  local most = allowed('max_running', tenant)
  return most and sane(redis.call('HGET', working, tenant)) >= most
end

-- Fair turns inside a lane: start-time fair queueing (Goyal, Vin and Cheng 1996) between tenants. Every tenant has a
-- virtual time, which each of its jobs moves on by cost / weight; the least is served next, and its virtual time is
-- the lane's clock. Who comes back begins no earlier than the clock, so that nobody saves up credit, and no earlier
-- than its own time, so that nobody sheds a debt by leaving for a moment.
local function clock_of(lane)
  return tonumber(redis.call('HGET', stat, 'clock:' .. lane) or '') or 0
end

local function queue_of(lane, tenant) return ready .. lane .. ':' .. tenant end

local function take_seat(lane, tenant)
  if redis.call('ZSCORE', turns .. lane, tenant) then return end
  if redis.call('ZCARD', queue_of(lane, tenant)) == 0 then return end
  if at_cap(tenant) then
    redis.call('SADD', capped, tenant)
    return
  end
  local owed = tonumber(redis.call('ZSCORE', debts .. lane, tenant) or '') or 0
  redis.call('ZREM', debts .. lane, tenant)
  redis.call('ZADD', turns .. lane, exact(math.max(owed, clock_of(lane))), tenant)
end

local function leave_seat(lane, tenant)
  local own = redis.call('ZSCORE', turns .. lane, tenant)
  if not own then return end
  redis.call('ZREM', turns .. lane, tenant)
  if tonumber(own) > clock_of(lane) then redis.call('ZADD', debts .. lane, own, tenant) end
  redis.call('ZREMRANGEBYRANK', debts .. lane, 0, -DEBTORS - 1)  -- of ever new tenants the least indebted are forgiven
end

-- A tenant that may run again, or more than before.
local function readmit(tenant)
  if redis.call('SREM', capped, tenant) == 0 then return end
  for _, lane in ipairs(LANES) do take_seat(lane, tenant) end
end

local function leave_all_places(id)
  local lane, tenant = seat_of(id)
  if redis.call('ZREM', queued, id) + redis.call('ZREM', delayed, id) > 0 then add(waiting, tenant, -1) end
  if redis.call('ZREM', queue_of(lane, tenant), id) == 1 and redis.call('ZCARD', queue_of(lane, tenant)) == 0 then
    leave_seat(lane, tenant)
    if redis.call('HEXISTS', waiting, tenant) == 0 then redis.call('SREM', capped, tenant) end
  end
  if redis.call('ZREM', running, id) == 1 then
    add(working, tenant, -1)
    readmit(tenant)
  end
  for _, place in ipairs({succeeded, dead, cancelled, deadlines}) do redis.call('ZREM', place, id) end
end

-- Every transition goes through here, which is why an id stands in exactly one place.
local function move(id, state, score)
  leave_all_places(id)
  redis.call('ZADD', places[state], integer(score), id)
  set(id, 'state', state)
  redis.call('XADD', ev, 'MAXLEN', '~', EVENTS, '*', 'job', id, 'state', state,
    'attempt', integer(count(id, 'attempts')), 'worker', field(id, 'worker') or '')
end

local function await(id, state, score)
  local _, tenant = seat_of(id)
  move(id, state, score)
  add(waiting, tenant, 1)
  if count(id, 'deadline_ms') > 0 then redis.call('ZADD', deadlines, integer(count(id, 'deadline_ms')), id) end
end

local function make_ready(id)
  local lane, tenant = seat_of(id)
  await(id, 'queued', now_ms)
  redis.call('ZADD', queue_of(lane, tenant), integer(count(id, 'place')), id)
  take_seat(lane, tenant)
  redis.call('LPUSH', wake, id)
  redis.call('LTRIM', wake, 0, TOKENS - 1)
end

-- May an attempt begin at that time? A deadline counts from the submission, or from the redrive.
local function in_time(id, at_ms)
  local deadline_ms = count(id, 'deadline_ms')
  return deadline_ms == 0 or at_ms < deadline_ms
end

local function set_deadline(id)
  local patience_ms = count(id, 'patience_ms')
  if patience_ms > 0 then set(id, 'deadline_ms', integer(now_ms + patience_ms)) end
end

-- The last of its tenant and priority.
local function take_place(id, priority)
  tally('seq')
  local seq = sane(redis.call('HGET', stat, 'seq'))
  set(id, 'place', integer((255 - math.min(priority, 255)) * LEVEL + seq))
  return seq
end

local function finish(id, state, ttl_ms)
  local ends_ms = now_ms + tonumber(ttl_ms)
  set(id, 'finished_ms', integer(now_ms))
  move(id, state, ends_ms)
  redis.call('PEXPIREAT', jobs .. id, integer(ends_ms))
end

-- The record as readers see it; that of a running job tells how long its worker has been silent.
local function shown(id)
  local record = redis.call('HGETALL', jobs .. id)
  local deadline_ms = stands_in(id, 'running')
  if deadline_ms then
    local left_ms = tonumber(deadline_ms) - now_ms
    for _, text in ipairs({'silent_ms', integer(math.max(0, count(id, 'lease_ms') - left_ms)),
                           'lease_left_ms', integer(math.max(0, left_ms))}) do
      record[#record + 1] = text
    end
  end
  return record
end

-- A worker was heard of: its card is good for one lease more.
local function heard_of(worker, lease_ms)
  local card = cards .. worker
  redis.call('HSET', card, 'lease_ms', lease_ms)
  redis.call('PEXPIRE', card, lease_ms)
  redis.call('ZADD', workers, integer(now_ms + tonumber(lease_ms)), worker)
end

local function blame(id, code, message)
  set(id, 'error_code', code, 'error_message', message)
end

local function finish_late(id, ttl_ms)
  local patience_s = string.format('%g', count(id, 'patience_ms') / 1000)
  blame(id, 'deadline', 'not begun within ' .. patience_s .. ' s; allow more, or ask when less is waiting')
  finish(id, 'dead', ttl_ms)
end

-- How long a new job of this seat would wait, in ms; false: nothing is known. As many attempts as run now, each as long
-- as attempts were lately, work off what is ahead of it: all of the lanes before, and of its own lane all, or no more
-- than the others' shares while the tenant's own jobs have their turns.
local function predicted_wait_ms(lane, tenant)
  local attempt_ms, attempts = sane(redis.call('HGET', stat, 'attempt_ms')), redis.call('ZCARD', running)
  if attempt_ms == 0 or attempts == 0 then return false end
  local ahead = 0
  for _, each in ipairs(LANES) do
    local ready_here, weights = 0, 0
    for _, other in ipairs(redis.call('ZRANGE', turns .. each, 0, -1)) do
      ready_here = ready_here + redis.call('ZCARD', queue_of(each, other))
      if other ~= tenant then weights = weights + weight_of(other) end
    end
    if each == lane then
      local own, weight = redis.call('ZCARD', queue_of(lane, tenant)), weight_of(tenant)
      local fair = (own + 1) * (weights + weight) / weight - 1
      return (ahead + math.min(ready_here, fair)) * attempt_ms / attempts
    end
    ahead = ahead + ready_here
  end
end

local function finish_cancelled(id, ttl_ms)
  blame(id, 'cancelled', 'cancelled on request')
  finish(id, 'cancelled', ttl_ms)
end

local function cancel_requested(id) return field(id, 'cancel') == '1' end

-- A deadline further ahead than any lease reaches is of before the clock went back. Whoever lives renews it with the next
-- beat; for whoever died it would else be waited for as long as the clock went back.
local furthest_ms = now_ms + sane(redis.call('HGET', stat, 'longest_lease'))
local function overdue(deadline_ms) return deadline_ms < now_ms or deadline_ms > furthest_ms end

-- Is this the attempt that runs now? Fences are compared as text: they are never computed with.
local function mine(id, fence)
  return field(id, 'state') == 'running' and field(id, 'fence') == fence
end

-- Off the books, with everything that pointed to it; `why` is the counter that remembers it. Without one the record
-- went by itself: when its time had come, or deleted by hand.
local function strike(id, why)
  local ended = stands_in(id, 'succeeded') or stands_in(id, 'dead') or stands_in(id, 'cancelled')
  leave_all_places(id)
  redis.call('DEL', jobs .. id)
  redis.call('HDEL', seats, id)
  if redis.call('ZREM', index, id) == 1 then tally(why or ended and 'expired' or 'struck') end
end

-- What waits though nobody wants it any more.
local function end_overdue(ttl_ms)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', deadlines, '-inf', integer(now_ms), 'LIMIT', 0, BATCH)) do
    if known(id) then finish_late(id, ttl_ms) else strike(id) end
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

-- dead → queued, behind its tenant's other jobs and with fresh attempts; false: it is not dead.
local function redrive(id)
  if not (known(id) and stands_in(id, 'dead')) then return false end
  redis.call('PERSIST', jobs .. id)
  redis.call('HDEL', jobs .. id, 'error_code', 'error_message', 'finished_ms', 'progress', 'worker')
  set(id, 'attempts', 0, 'crashes', 0)
  set_deadline(id)
  take_place(id, count(id, 'priority'))
  make_ready(id)
  return true
end

-- What every move shares: a job's ways from one state to another, and off the books.

local LEVEL = 2 ^ 40  -- places of one priority lie below those of the next
local EVENTS = 10000
local TOKENS = 64

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
    local worker = known(id) and field(id, 'worker')
    if worker and redis.call('HGET', latest, worker) == id then redis.call('HDEL', latest, worker) end
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

-- The last of its tenant and priority.
local function take_place(id, priority)
  tally('seq')
  local seq = sane(redis.call('HGET', stat, 'seq'))
  set(id, 'place', integer((255 - math.min(priority, 255)) * LEVEL + seq))
  return seq
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

local function finish(id, state, ttl_ms)
  local ends_ms = now_ms + tonumber(ttl_ms)
  set(id, 'finished_ms', integer(now_ms), 'expires_ms', integer(ends_ms))
  move(id, state, ends_ms)
  redis.call('PEXPIREAT', jobs .. id, integer(ends_ms))
end

local function finish_late(id, ttl_ms)
  local patience_s = string.format('%g', count(id, 'patience_ms') / 1000)
  blame(id, 'deadline', 'not begun within ' .. patience_s .. ' s; allow more, or ask when less is waiting')
  finish(id, 'dead', ttl_ms)
end

local function finish_cancelled(id, ttl_ms)
  blame(id, 'cancelled', 'cancelled on request')
  finish(id, 'cancelled', ttl_ms)
end

local function finish_poisoned(id, ttl_ms)
  local died = count(id, 'crashes') .. ' workers died on this job'
  blame(id, 'worker_lost', died .. '; look at their logs, then submit it again')
  finish(id, 'dead', ttl_ms)
end

-- A worker that died may have published before. So the reaper ends no job unseen: whoever claims it
-- next only looks for its result, and if there is none, or he dies as well, the job ends as it would have.
local ENDS = {worker_lost = finish_poisoned, cancelled = finish_cancelled, deadline = finish_late}

local function look_once(id, code)
  set(id, 'look_only', code, 'deadline_ms', 0)
  redis.call('ZREM', deadlines, id)
  if not stands_in(id, 'queued') then make_ready(id) end
end

-- How a job ends that is only looked for; false: it may be made.
local function end_of(id)
  local end_as = ENDS[field(id, 'look_only') or '']
  return end_as and (cancel_requested(id) and finish_cancelled or end_as) or false
end

local function end_late(id, ttl_ms)
  if count(id, 'crashes') > 0 then look_once(id, 'deadline') else finish_late(id, ttl_ms) end
end

-- dead → queued, behind its tenant's other jobs and with fresh attempts; false: it is not dead.
local function redrive(id)
  if not (known(id) and stands_in(id, 'dead')) then return false end
  redis.call('PERSIST', jobs .. id)
  redis.call('HDEL', jobs .. id, 'error_code', 'error_message', 'finished_ms', 'expires_ms', 'look_only', 'progress',
    'worker')
  set(id, 'attempts', 0, 'crashes', 0)
  set_deadline(id)
  take_place(id, count(id, 'priority'))
  make_ready(id)
  return true
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

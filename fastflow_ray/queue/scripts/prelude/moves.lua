-- What every move shares: a job's ways from one state to another, and off the books.

local LEVEL = 2 ^ 40  -- places of one priority lie below those of the next
local EVENTS = 10000

-- Out of its tenant's line; the last one's turn is the others'.
local function leave_line(id)
  local lane, tenant = seat_of(id)
  if redis.call('ZREM', queue_of(lane, tenant), id) == 1 and redis.call('ZCARD', queue_of(lane, tenant)) == 0 then
    leave_seat(lane, tenant)
  end
end

local function leave_all_places(id)
  local _, tenant = seat_of(id)
  leave_line(id)
  if redis.call('ZREM', queued, id) + redis.call('ZREM', delayed, id) > 0 then
    add(waiting, tenant, -1)
    if redis.call('HEXISTS', waiting, tenant) == 0 then redis.call('SREM', capped, tenant) end
  end
  if redis.call('ZREM', running, id) == 1 then
    add(working, tenant, -1)
    readmit(tenant)
    local worker = known(id) and field(id, 'worker')
    if worker and redis.call('HGET', latest, worker) == id then redis.call('HDEL', latest, worker) end
  end
  for _, place in ipairs({succeeded, dead, cancelled, deadlines, looks}) do redis.call('ZREM', place, id) end
end

-- States that a job comes into because something went wrong; its record says what.
local BLAMED = {delayed = true, dead = true, cancelled = true}

-- Every transition goes through here, which is why an id stands in exactly one place. `why` it came back, if it did.
local function move(id, state, score, why)
  leave_all_places(id)
  redis.call('ZADD', places[state], integer(score), id)
  set(id, 'state', state)
  redis.call('XADD', ev, 'MAXLEN', '~', EVENTS, '*', 'job', id, 'state', state,
    'attempt', integer(count(id, 'attempts')), 'worker', field(id, 'worker') or '',
    'why', why or BLAMED[state] and field(id, 'error_code') or '')
end

local function await(id, state, score, why)
  local _, tenant = seat_of(id)
  move(id, state, score, why)
  add(waiting, tenant, 1)
  if count(id, 'deadline_ms') > 0 then redis.call('ZADD', deadlines, integer(count(id, 'deadline_ms')), id) end
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

-- Off the books, with everything that pointed to it; `why` is the counter that remembers it. Without one the record
-- went by itself: when its time had come, or deleted by hand.
local function strike(id, why)
  local worked_on = stands_in(id, 'succeeded') or stands_in(id, 'dead')
  local ended = worked_on or stands_in(id, 'cancelled')
  leave_all_places(id)
  redis.call('DEL', jobs .. id)
  redis.call('HDEL', seats, id)
  if redis.call('ZREM', index, id) == 1 then
    tally(why or ended and 'expired' or 'struck')
    if worked_on then tally('bygone') end
  end
end

-- What every move shares: where a queued job stands until it is claimed, in its tenant's line or among the looks.

local TOKENS = 64

-- The looks are served before any line, whatever is paused and whoever is at its cap: they cost nobody a turn.
local function line_up(id)
  if end_of(id) then
    redis.call('ZADD', looks, stands_in(id, 'queued'), id)
  else
    local lane, tenant = seat_of(id)
    redis.call('ZADD', queue_of(lane, tenant), integer(count(id, 'place')), id)
    take_seat(lane, tenant)
  end
  redis.call('LPUSH', wake, id)
  redis.call('LTRIM', wake, 0, TOKENS - 1)
end

local function make_ready(id, why)
  await(id, 'queued', now_ms, why)
  line_up(id)
end

-- A worker that died may have published before. So the reaper ends no job unseen: whoever claims it
-- next only looks for its result, and if there is none, or he dies as well, the job ends as it would have.
local function look_once(id, code, why)
  set(id, 'look_only', code, 'deadline_ms', 0)
  redis.call('ZREM', deadlines, id)
  if stands_in(id, 'queued') then
    leave_line(id)
    line_up(id)
  else
    make_ready(id, why)
  end
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

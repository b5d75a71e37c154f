-- What every move shares. Above this text stands one generated line that binds the keys of keys.py to locals:
--     local queued, delayed, running, succeeded, dead, cancelled, index, ..., jobs = unpack(KEYS)
-- The only clock is the server's; the scripts know neither what a payload means nor who is calling.

local places = {queued = queued, delayed = delayed, running = running,
                succeeded = succeeded, dead = dead, cancelled = cancelled}
local LEVEL = 2 ^ 40  -- places of one priority lie below those of the next
local EVENTS = 10000
local TOKENS = 64
local BATCH = 100  -- overdue entries handled per call, so that no call stalls the server

local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now_us / 1000)

-- Lua on its own would write 1.7e+15.
local function integer(number)
  return string.format('%.0f', number)
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

local function stands_in(id, state)
  return redis.call('ZSCORE', places[state], id)
end

local function leave_all_places(id)
  for _, place in pairs(places) do redis.call('ZREM', place, id) end
  redis.call('ZREM', ready_since, id)
end

-- Every transition goes through here, which is why an id stands in exactly one place.
local function move(id, state, score)
  leave_all_places(id)
  redis.call('ZADD', places[state], integer(score), id)
  set(id, 'state', state)
  redis.call('XADD', ev, 'MAXLEN', '~', EVENTS, '*', 'job', id, 'state', state,
    'attempt', integer(count(id, 'attempts')), 'worker', field(id, 'worker') or '')
end

local function make_ready(id)
  move(id, 'queued', count(id, 'place'))
  redis.call('ZADD', ready_since, integer(now_ms), id)
  redis.call('LPUSH', wake, id)
  redis.call('LTRIM', wake, 0, TOKENS - 1)
end

local function finish(id, state, ttl_ms)
  local ends_ms = now_ms + tonumber(ttl_ms)
  set(id, 'finished_ms', integer(now_ms))
  move(id, state, ends_ms)
  redis.call('PEXPIREAT', jobs .. id, integer(ends_ms))
end

local function blame(id, code, message)
  set(id, 'error_code', code, 'error_message', message)
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

-- Off the books, with everything that pointed to it.
local function strike(id)
  leave_all_places(id)
  redis.call('DEL', jobs .. id)
  if redis.call('ZREM', index, id) == 1 then redis.call('HINCRBY', stat, 'submitted', -1) end
end

-- Redis expires the records; the ids that pointed to them go here.
local function sweep()
  for _, place in ipairs({succeeded, dead, cancelled}) do
    local ended = redis.call('ZRANGEBYSCORE', place, '-inf', integer(now_ms), 'LIMIT', 0, BATCH)
    for _, id in ipairs(ended) do strike(id) end
  end
end

-- Fair turns inside one priority (self-clocked fair queueing, Golestani 1994, every job of cost 1): a job comes one
-- turn after its tenant's latest, but never before the turn being served, so that idle tenants save up no credit.
local function take_turn(id, tenant, priority)
  local seat = priority .. ':' .. tenant
  local served = sane(redis.call('HGET', stat, 'turn:' .. priority))
  local turn = math.max(served, sane(redis.call('HGET', turns, seat))) + 1
  redis.call('HSET', turns, seat, integer(turn))
  set(id, 'place', integer((255 - tonumber(priority)) * LEVEL + turn))
end

local function serve_turn(id)
  local place = count(id, 'place')
  local name = 'turn:' .. integer(255 - math.floor(place / LEVEL))
  local served = math.max(sane(redis.call('HGET', stat, name)), place % LEVEL)
  redis.call('HSET', stat, name, integer(served))
end

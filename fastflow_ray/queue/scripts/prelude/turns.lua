-- What every move shares: whose turn it is in a lane, what the operator allows, and how long a new job would wait.

local DEBTORS = 10000

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

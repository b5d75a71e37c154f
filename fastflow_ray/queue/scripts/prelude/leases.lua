-- What every move shares: how long a worker is believed that has not been heard of.

-- A deadline further ahead than any lease reaches is of before the clock went back. Whoever lives renews it with the next
-- beat; for whoever died it would else be waited for as long as the clock went back.
local furthest_ms = now_ms + sane(redis.call('HGET', stat, 'longest_lease'))
local function overdue(deadline_ms) return deadline_ms < now_ms or deadline_ms > furthest_ms end

-- A worker was heard of: its card is good for one lease more.
local function heard_of(worker, lease_ms)
  local card = cards .. worker
  redis.call('HSET', card, 'lease_ms', lease_ms)
  redis.call('PEXPIRE', card, lease_ms)
  redis.call('ZADD', workers, integer(now_ms + tonumber(lease_ms)), worker)
end

-- The worker that has a job lives: the lease begins anew, and a reaper that saw it before sees another.
local function extend(id, lease_ms)
  set(id, 'heartbeats', integer(count(id, 'heartbeats') + 1), 'lease_ms', lease_ms)
  redis.call('ZADD', running, integer(now_ms + tonumber(lease_ms)), id)
  heard_of(field(id, 'worker') or '', lease_ms)
end

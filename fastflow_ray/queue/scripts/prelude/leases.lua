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

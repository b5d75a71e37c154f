-- running → queued at the old place, or among the looks, the attempt given back; a cancelled job ends instead.
-- Answers 1, or 0: lost.
local id, fence, ttl_ms = unpack(ARGV)

-- What the claim took of its tenant's turns.
local function repay(lane, tenant, paid)
  for _, book in ipairs({turns .. lane, debts .. lane}) do
    local own = redis.call('ZSCORE', book, tenant)
    if own then redis.call('ZADD', book, exact(math.max(tonumber(own) - paid, clock_of(lane))), tenant) end
  end
end

even_if_full()
if not mine(id, fence) then return 0 end
if cancel_requested(id) and not end_of(id) then
  finish_cancelled(id, ttl_ms)
else
  local lane, tenant = seat_of(id)
  set(id, 'attempts', integer(math.max(count(id, 'attempts') - 1, 0)))
  make_ready(id, 'released')
  repay(lane, tenant, tonumber(field(id, 'paid') or '') or 0)
end
return 1

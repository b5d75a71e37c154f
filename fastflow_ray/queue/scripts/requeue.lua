-- Second phase of reaping: running → queued | dead | cancelled, if fence and heartbeats are still those seen.
-- Answers the new state, or false: it lives. The state field is not asked: a damaged record must not run for ever.
local id, fence, heartbeats, max_crashes, ttl_ms = unpack(ARGV)

even_if_full()
local deadline_ms = stands_in(id, 'running')
if not deadline_ms or not overdue(tonumber(deadline_ms)) then return false end
if not known(id) then
  strike(id)
  return false
end
if integer(count(id, 'fence')) ~= fence or integer(count(id, 'heartbeats')) ~= heartbeats then return false end

local crashes = count(id, 'crashes') + 1
set(id, 'crashes', integer(crashes))
local end_as = end_of(id)
if end_as then
  end_as(id, ttl_ms)
elseif cancel_requested(id) then
  look_once(id, 'cancelled', 'worker_lost')
elseif crashes >= tonumber(max_crashes) then
  look_once(id, 'worker_lost', 'worker_lost')
else
  make_ready(id, 'worker_lost')
end
return field(id, 'state')

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
if cancel_requested(id) then
  finish_cancelled(id, ttl_ms)
elseif crashes >= tonumber(max_crashes) then
  blame(id, 'worker_lost', crashes .. ' workers died on this job; look at their logs, then submit it again')
  finish(id, 'dead', ttl_ms)
else
  make_ready(id)
end
return field(id, 'state')

-- What every move shares: how a job ends.

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
  local crashes = count(id, 'crashes')
  local one, many = ' worker died on this job; look at its logs', ' workers died on this job; look at their logs'
  blame(id, 'worker_lost', crashes .. (crashes == 1 and one or many) .. ', then submit it again')
  finish(id, 'dead', ttl_ms)
end

-- The endings that a look may come before, by the code it is asked for with.
local ENDS = {worker_lost = finish_poisoned, cancelled = finish_cancelled, deadline = finish_late}

-- How a job ends that is only looked for; false: it may be made.
local function end_of(id)
  local end_as = ENDS[field(id, 'look_only') or '']
  return end_as and (cancel_requested(id) and finish_cancelled or end_as) or false
end

-- queued | delayed → cancelled; running gets the flag. Answers the state, or false: no such job.
local id, ttl_ms = unpack(ARGV)

local function ask()
  set(id, 'cancel', 1)
  redis.call('HSETNX', jobs .. id, 'cancel_ms', integer(now_ms))  -- asked twice, it was asked when it was asked first
end

even_if_full()
if not known(id) then return false end
if stands_in(id, 'queued') or stands_in(id, 'delayed') then
  ask()
  finish_cancelled(id, ttl_ms)
elseif stands_in(id, 'running') then
  ask()
end
return field(id, 'state')

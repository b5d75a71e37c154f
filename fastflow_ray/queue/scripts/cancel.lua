-- queued | delayed → cancelled; running gets the flag. Answers the state, or false: no such job.
local id, ttl_ms = unpack(ARGV)

if not known(id) then return false end
if stands_in(id, 'queued') or stands_in(id, 'delayed') then
  set(id, 'cancel', 1)
  finish_cancelled(id, ttl_ms)
elseif stands_in(id, 'running') then
  set(id, 'cancel', 1)
end
return field(id, 'state')

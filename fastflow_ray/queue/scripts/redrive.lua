-- dead → queued, behind its tenant's other jobs and with fresh attempts. Answers 1, or 0: it is not dead.
local id = ARGV[1]

if not (known(id) and stands_in(id, 'dead')) then return 0 end
redis.call('PERSIST', jobs .. id)
redis.call('HDEL', jobs .. id, 'error_code', 'error_message', 'finished_ms', 'progress', 'worker')
set(id, 'attempts', 0, 'crashes', 0)
take_place(id, count(id, 'priority'))
make_ready(id)
return 1

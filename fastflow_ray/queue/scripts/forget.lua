-- Terminal → gone. Answers 1, or 0: no such job, or it has not ended.
local id = ARGV[1]

if not (stands_in(id, 'succeeded') or stands_in(id, 'dead') or stands_in(id, 'cancelled')) then return 0 end
strike(id, 'forgotten')
return 1

-- Answers the record, or false: no such job. Changes nothing.
local id = ARGV[1]
return known(id) and shown(id)

-- Answers the documents, the sequences, and the revision they are of, or false if that is known; changes nothing.
local latest = redis.call('GET', revision) or '0'
if latest == ARGV[1] then return false end
return {redis.call('HGETALL', statistics), redis.call('HGETALL', sequences), latest}

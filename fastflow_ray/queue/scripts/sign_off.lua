-- A worker takes its card away.
local worker = ARGV[1]

redis.call('DEL', cards .. worker)
redis.call('ZREM', workers, worker)

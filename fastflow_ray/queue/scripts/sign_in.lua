-- A worker lays down its card, good for so long unless it is heard of.
local worker, gpu, state, ttl_ms = unpack(ARGV)

redis.call('DEL', cards .. worker)
redis.call('HSET', cards .. worker, 'gpu', gpu, 'beats', 0)
heard_of(worker, ttl_ms, state, '')

-- A worker lays down its card, good for so long unless it is heard of. Its beats are counted on.
local worker, gpu, state, job, publishing, why, ttl_ms = unpack(ARGV)

even_if_full()
redis.call('HSET', cards .. worker, 'gpu', gpu, 'state', state, 'job', job, 'publishing', publishing, 'why', why)
heard_of(worker, ttl_ms)

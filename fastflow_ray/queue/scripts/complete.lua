-- running → succeeded. Answers 1, also when the same attempt says it again, or 0: lost.
-- A cancellation that the worker has not yet seen comes too late: the video is published.
local id, fence, result, ttl_ms = unpack(ARGV)

even_if_full()
if field(id, 'fence') == fence and field(id, 'state') == 'succeeded' then return 1 end
if not mine(id, fence) then return 0 end
set(id, 'result', result)
-- How long attempts take: each new one counts an eighth, a mere look not at all.
local before_ms, attempt_ms = sane(redis.call('HGET', stat, 'attempt_ms')), now_ms - count(id, 'claimed_ms')
local mean_ms = before_ms == 0 and attempt_ms or before_ms + (attempt_ms - before_ms) / 8
if not end_of(id) then redis.call('HSET', stat, 'attempt_ms', integer(math.max(1, mean_ms))) end
finish(id, 'succeeded', ttl_ms)
return 1

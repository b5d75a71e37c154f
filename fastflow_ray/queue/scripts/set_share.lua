-- What a tenant ('*': all not named) may take from now on; an empty text: nothing said.
local tenant = ARGV[1]

even_if_full()
for number, name in ipairs({'weight', 'max_running', 'max_queued'}) do
  local value = ARGV[number + 1]
  if value == '' then
    redis.call('HDEL', cfg, name .. ':' .. tenant)
  else
    redis.call('HSET', cfg, name .. ':' .. tenant, value)
  end
end
for _, each in ipairs(redis.call('SMEMBERS', capped)) do readmit(each) end
redis.call('LPUSH', wake, 'share')
redis.call('LTRIM', wake, 0, TOKENS - 1)

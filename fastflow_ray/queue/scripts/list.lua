-- Changes nothing but ids without a record. Answers {id, record} pairs in order of submission, or false: the cursor
-- is unknown.
local after, limit, newest_first = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'

sweep()
local cursor = newest_first and '+inf' or '-inf'
if after ~= '' then
  local seq = redis.call('ZSCORE', index, after)
  if not seq then return false end
  cursor = '(' .. seq
end

local function next_id()
  if newest_first then return redis.call('ZREVRANGEBYSCORE', index, cursor, '-inf', 'LIMIT', 0, 1)[1] end
  return redis.call('ZRANGEBYSCORE', index, cursor, '+inf', 'LIMIT', 0, 1)[1]
end

local page = {}
while #page < limit do
  local id = next_id()
  if not id then break end
  cursor = '(' .. redis.call('ZSCORE', index, id)
  if known(id) then
    page[#page + 1] = {id, shown(id)}
  else
    strike(id)
  end
end
return page

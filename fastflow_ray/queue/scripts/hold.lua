-- Answers the model that the key is held for: this one, unless another came first. A server without memory holds nothing;
-- it refuses the job itself.
local digest, model, hold_ms = unpack(ARGV)

local holder = redis.call('GET', holds .. digest) or model
if holder == model then redis.pcall('SET', holds .. digest, model, 'PX', hold_ms) end
return holder

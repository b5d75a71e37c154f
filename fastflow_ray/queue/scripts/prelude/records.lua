-- What every move shares, first: the time, numbers, and the record of one job.
-- Above this text stand generated lines that bind the keys of keys.py to locals and name the lanes in their order:
--     local queued, delayed, running, ..., jobs, ready, turns, debts, cards = unpack(KEYS)
--     local LANES = {'interactive', ...}
-- The only clock is the server's; the scripts know neither what a payload means nor who is calling.

local places = {queued = queued, delayed = delayed, running = running,
                succeeded = succeeded, dead = dead, cancelled = cancelled}

local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now_us / 1000)

-- Lua on its own would write 1.7e+15.
local function integer(number)
  return string.format('%.0f', number)
end

-- All the bits of a virtual time.
local function exact(number)
  return string.format('%.17g', number)
end

-- A record is anybody's to damage by hand: what is no sane number counts as 0.
local function sane(text)
  local number = tonumber(text or '')
  if not number or number ~= number or number < 0 or number > 2 ^ 53 then return 0 end
  return math.floor(number)
end

-- A server out of memory refuses a script whose first write takes some, and lets all pass after one that takes none. So
-- whatever ends jobs, keeps them alive or is the operator's order begins with this; new jobs have to wait.
local function even_if_full() redis.call('HDEL', stat, '') end

local function known(id) return redis.call('TYPE', jobs .. id).ok == 'hash' end
local function field(id, name) return redis.call('HGET', jobs .. id, name) end
local function count(id, name) return sane(field(id, name)) end
local function set(id, ...) redis.call('HSET', jobs .. id, ...) end
local function tally(name, number) redis.call('HINCRBY', stat, name, number or 1) end

local function stands_in(id, state)
  return redis.call('ZSCORE', places[state], id)
end

-- Is this the attempt that runs now? Fences are compared as text: they are never computed with.
local function mine(id, fence)
  return field(id, 'state') == 'running' and field(id, 'fence') == fence
end

local function cancel_requested(id) return field(id, 'cancel') == '1' end

local function blame(id, code, message)
  set(id, 'error_code', code, 'error_message', message)
end

-- The record as readers see it; that of a running job tells how long its worker has been silent.
local function shown(id)
  local record = redis.call('HGETALL', jobs .. id)
  local deadline_ms = stands_in(id, 'running')
  if deadline_ms then
    local left_ms = tonumber(deadline_ms) - now_ms
    for _, text in ipairs({'silent_ms', integer(math.max(0, count(id, 'lease_ms') - left_ms)),
                           'lease_left_ms', integer(left_ms)}) do
      record[#record + 1] = text
    end
  end
  return record
end

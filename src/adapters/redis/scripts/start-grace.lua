-- Starts the grace of the last step of a family, by the server's clock: see `refreshed_ms` in advance-family.
-- KEYS: hash of families. ARGV: family, counter in base 36.
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return 0 end
local record = redis.call('HGET', KEYS[1], ARGV[1])
local counter, from, to = string.match(record or '', '^([0-9a-z]+)%.[0-9a-z]+%.[0-9a-z]+%.[0-9a-z]+%.[0-9a-z]+%.()0()')
if counter ~= ARGV[2] or string.find(record, '^%d', to) then return 0 end
local time = redis.call('TIME')
local time_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', KEYS[1], ARGV[1], string.sub(record, 1, from - 1) .. time_ms .. string.sub(record, to))
return 1

-- For scripts on one subject: stops if the set has another type.
local set, meta = KEYS[1], KEYS[2]
local set_type = redis.call('TYPE', set).ok
if set_type ~= 'zset' and set_type ~= 'none' then return {WRONG_TYPE, set} end

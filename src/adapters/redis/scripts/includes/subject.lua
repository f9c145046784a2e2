-- For a script over one subject, whose keys are its set and its labels: leaves a key of a foreign type alone.
local set, labels = KEYS[1], KEYS[2]
local set_type = redis.call('TYPE', set).ok
if set_type ~= 'zset' and set_type ~= 'none' then return {WRONG_TYPE} end

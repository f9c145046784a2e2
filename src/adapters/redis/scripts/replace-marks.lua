-- Sets fields if one of them has the expected value.
-- KEYS: hash. ARGV: that field, its expected value ('': none), then fields and values. Returns 1, 0, or
-- WRONG_TYPE.
local marks = KEYS[1]
local marks_type = redis.call('TYPE', marks).ok
if marks_type ~= 'hash' and marks_type ~= 'none' then return WRONG_TYPE end
if (redis.call('HGET', marks, ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', marks, unpack(ARGV, 3))
return 1

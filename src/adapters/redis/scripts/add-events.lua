-- Adds events with their expiry as the score, and removes some expired ones.
-- KEYS: sorted set. ARGV: scores and members. Returns 1 or WRONG_TYPE.
local events = KEYS[1]
local events_type = redis.call('TYPE', events).ok
if events_type ~= 'zset' and events_type ~= 'none' then return WRONG_TYPE end
redis.call('ZADD', events, unpack(ARGV))
local now = redis.call('TIME')[1]
local expired = redis.call('ZRANGEBYSCORE', events, '-inf', now, 'LIMIT', 0, EVENTS_PER_CALL)
if #expired > 0 then redis.call('ZREM', events, unpack(expired)) end
local last = redis.call('ZREVRANGEBYSCORE', events, '+inf', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
if last then redis.call('EXPIREAT', events, string.format('%.0f', tonumber(last))) end
return 1

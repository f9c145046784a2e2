-- Sets one verifier's field: when its heartbeat expires by the server's clock, and the heartbeat. Drops a few others that have
-- expired. A field of a hash has no expiry of its own (Redis 7.0). The server's clock decides, because all verifiers share it:
-- by the clock of a host that is ahead, every verifier would have expired.
--
-- KEYS: the hash. ARGV: id, heartbeat, for how many seconds it counts. Returns 1 or WRONG_TYPE.
local fleet, id, seconds = KEYS[1], ARGV[1], tonumber(ARGV[3])
local fleet_type = redis.call('TYPE', fleet).ok
if fleet_type ~= 'hash' and fleet_type ~= 'none' then return WRONG_TYPE end
local now = tonumber(redis.call('TIME')[1])
redis.call('HSET', fleet, id, string.format('%.0f', now + seconds) .. ' ' .. ARGV[2])
local since = kept_since(fleet, now) or now
redis.call('HSET', fleet, KEPT, string.format('%.0f %.0f %s', since, now, run_id()))
local some = redis.call('HRANDFIELD', fleet, LOOKED_AT, 'WITHVALUES')
for i = 1, #some, 2 do
  if some[i] ~= id and some[i] ~= KEPT and not judge(some[i], some[i + 1], now) then redis.call('HDEL', fleet, some[i]) end
end
redis.call('EXPIRE', fleet, math.max(seconds, redis.call('TTL', fleet)))
return 1

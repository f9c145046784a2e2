-- Stores one heartbeat with its expiry, because fields of a hash do not expire (Redis 7.0), and drops a few
-- expired ones. The server's clock decides: by a host's clock that is ahead, every verifier would have
-- expired.
-- KEYS: hash. ARGV: id, heartbeat, lifetime in seconds. Returns 1 or WRONG_TYPE.
local fleet, id, seconds = KEYS[1], ARGV[1], tonumber(ARGV[3])
local fleet_type = redis.call('TYPE', fleet).ok
if fleet_type ~= 'hash' and fleet_type ~= 'none' then return WRONG_TYPE end
local now = tonumber(redis.call('TIME')[1])
redis.call('HSET', fleet, id, string.format('%.0f', now + seconds) .. ' ' .. ARGV[2])
local since = kept_since(fleet, now) or now
redis.call('HSET', fleet, KEPT, string.format('%.0f %.0f %s', since, now, run_id()))
local some = redis.call('HRANDFIELD', fleet, CHECKED_PER_REPORT, 'WITHVALUES')
for i = 1, #some, 2 do
  if some[i] ~= id and some[i] ~= KEPT and not parse_heartbeat(some[i], some[i + 1], now) then redis.call('HDEL', fleet, some[i]) end
end
redis.call('EXPIRE', fleet, math.max(seconds, redis.call('TTL', fleet)))
return 1

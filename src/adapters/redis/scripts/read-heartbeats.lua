-- Reads the heartbeats that are valid by the server's clock, because a host's clock may be ahead.
-- KEYS: hash. Returns WRONG_TYPE; WRITES_REFUSED (an empty list then means nothing: MISCONF, NOREPLICAS); -1
-- and the number of heartbeats if they are too many; or the seconds for which all have been kept, the number
-- of invalid ones, and ids and heartbeats of the others.
local function refuses_writes()
  local persistence, replication = redis.pcall('INFO', 'persistence'), redis.pcall('INFO', 'replication')
  if type(persistence) ~= 'string' or type(replication) ~= 'string' then return false end
  return string.find(persistence, 'rdb_last_bgsave_status:err', 1, true)
    or string.find(persistence, 'aof_last_write_status:err', 1, true)
    or string.find(replication, 'min_slaves_good_slaves:0', 1, true)
end

local fleet = KEYS[1]
local fleet_type = redis.call('TYPE', fleet).ok
if fleet_type ~= 'hash' and fleet_type ~= 'none' then return WRONG_TYPE end
local now, running = tonumber(redis.call('TIME')[1]), {}
local since = kept_since(fleet, now)
if not since and refuses_writes() then return WRITES_REFUSED end
since = since or now
local count = redis.call('HLEN', fleet)
if count > MOST_HEARTBEATS then return { -1, count, {} } end
local untrusted, bytes, cursor = 0, 0, '0'
repeat
  local page = redis.call('HSCAN', fleet, cursor, 'COUNT', 1000)
  cursor = page[1]
  for i = 1, #page[2], 2 do
    local id, value = page[2][i], page[2][i + 1]
    local heartbeat, is_over = parse_heartbeat(id, value, now)
    if heartbeat then
      bytes = bytes + #value
      if bytes > MOST_BYTES then return { -1, count, {} } end
      running[#running + 1] = id
      running[#running + 1] = heartbeat
    elseif not is_over and id ~= KEPT then
      untrusted = untrusted + 1
    end
  end
until cursor == '0'
return { math.max(0, now - since), untrusted, running }

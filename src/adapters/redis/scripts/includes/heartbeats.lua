-- Any client can write heartbeats. Invalid ones are dropped like expired ones.

-- Returns the heartbeat; or nil, and whether it is valid but expired.
local function parse_heartbeat(id, value, now)
  if #id > 64 or #value > MOST_HEARTBEAT_CHARACTERS + 20 then return nil, false end
  local over, heartbeat = string.match(value, '^(%d+) (.*)$')
  over = tonumber(over)
  if over == nil or over > now + LONGEST_HEARTBEAT_SECONDS then return nil, false end
  if over <= now then return nil, true end
  return heartbeat
end

-- A new master or a restarted server has another run_id. Without INFO, only a long gap shows that.
local function run_id()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
end

-- Returns since when all heartbeats have been kept; nil if some were lost.
local function kept_since(fleet, now)
  local since, last, run = string.match(redis.call('HGET', fleet, KEPT) or '', '^(%d+) (%d+) (%w*)$')
  if since and run == run_id() and now - tonumber(last) <= REPORTED_AGAIN_SECONDS then return tonumber(since) end
end

-- Any client that can write to Redis can write heartbeats. Expired ones are dropped. One that no verifier can have written is
-- not counted, and is dropped too.

-- Returns the heartbeat; or nil, and whether it is valid but expired.
local function judge(id, value, now)
  if #id > 64 or #value > MOST_HEARTBEAT_CHARACTERS + 20 then return nil, false end
  local over, heartbeat = string.match(value, '^(%d+) (.*)$')
  over = tonumber(over)
  if over == nil or over > now + LONGEST_HEARTBEAT_SECONDS then return nil, false end
  if over <= now then return nil, true end
  return heartbeat
end

-- A master that took over may lack the latest heartbeats, and so does a restarted server; either has another `run_id`. After a
-- long time without any heartbeat the server was away, and verifiers that run may have expired. An account that may not use
-- INFO has only the last rule.
local function run_id()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
end

-- Since when all has been kept; nil where that is not so.
local function kept_since(fleet, now)
  local since, last, run = string.match(redis.call('HGET', fleet, KEPT) or '', '^(%d+) (%d+) (%w*)$')
  if since and run == run_id() and now - tonumber(last) <= REPORTED_AGAIN_SECONDS then return tonumber(since) end
end

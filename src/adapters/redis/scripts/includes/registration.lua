-- For scripts that add entries of one subject: see register.lua for the arguments of an entry. Stops a script
-- that runs after its deadline, ARGV[3].
local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
-- A server that hung still runs old requests, but the client has reported them as failed.
if time_ms > tonumber(ARGV[3]) then return {TOO_LATE, time_ms} end
-- Removed at the end: see `finish`.
local dropped, gone, members_read = {}, {}, 0
-- The seen members of idle entries, once they were read.
local idle

local function drop_later(member)
  dropped[#dropped + 1], gone[member] = member, true
end

local function seen_by(time)
  return redis.call('ZRANGEBYSCORE', set, string.format('%.0f', -time), '(0', 'LIMIT', 0, MEMBERS_PER_CALL)
end

-- Returns the seen members of idle entries: see lastUse in domain/verification/idle.ts. They have the highest scores
-- below 0, so no others are read.
local function read_idle(timeout)
  local last_use = horizon + tolerance - timeout
  local found = seen_by(last_use)
  local info = #found > 0 and redis.pcall('INFO', 'server', 'persistence')
  -- An append-only file loses almost nothing in a restart.
  local may_lose = type(info) == 'string' and not string.find(info, 'aof_enabled:1', 1, true)
  local uptime = may_lose and tonumber(string.match(info, 'uptime_in_seconds:(%d+)'))
  local started = uptime and time[1] - uptime
  if started and last_use < started then found = seen_by(math.min(last_use, started - timeout - LOST_BY_RESTART_SECONDS)) end
  members_read = members_read + #found
  local members = {}
  for i = 1, #found do members[found[i]] = true end
  return members
end

-- Plans the removal of an entry that is idle, and returns whether it is.
local function drop_if_idle(member)
  local timeout = tonumber(ARGV[5])
  if not timeout then return false end
  idle = idle or read_idle(timeout)
  if not idle[seen_member(member)] then return false end
  drop_later(member)
  return true
end

local function is_older(a, b)
  if a.iat ~= b.iat then return a.iat < b.iat end
  if a.jti ~= b.jti then return is_before(a.jti, b.jti) end
  return a.key_id < b.key_id
end

-- Returns the family, for a token of a session, or the jti. See familyOf in domain/model/family.ts.
local function session_of(jti)
  local is_session = string.byte(jti, 23) == 46 and string.find(jti, '^%w[%w_-]+%.%d+$')
  return is_session and string.sub(jti, 1, 22) or jti
end

-- Whether there are as many others as there may be. The tokens of a session count once.
local function is_full(member, maximum)
  local _, own_from = parse(member, 1)
  local known, others, from = {[session_of(string.sub(member, own_from))] = true}, 0, 0
  local window = math.max(MEMBERS_PER_CALL, 2 * maximum)
  repeat
    local found = redis.call('ZRANGEBYSCORE', set, '(' .. horizon, '+inf', 'WITHSCORES', 'LIMIT', from, window)
    members_read, from = members_read + #found / 2, from + window
    for i = 1, #found, 2 do
      local iat, jti_from = parse(found[i], tonumber(found[i + 1]))
      local is_live = iat and not gone[found[i]] and (found[i] == member or not drop_if_idle(found[i]))
      local session = is_live and session_of(string.sub(found[i], jti_from))
      if session and not known[session] then known[session], others = true, others + 1 end
    end
  until others >= maximum or #found < 2 * window
  return others >= maximum
end

-- Evicts idle others and the oldest ones, and returns whether that was all. Evicts only members that it read.
local function make_room(member, maximum)
  local window = math.max(MEMBERS_PER_CALL, 2 * maximum)
  local found = redis.call('ZRANGEBYSCORE', set, '(' .. horizon, '+inf', 'WITHSCORES', 'LIMIT', 0, window)
  members_read = members_read + #found / 2
  local others, members = {}, {}
  for i = 1, #found, 2 do members[#members + 1] = found[i] end
  local legacy = read_legacy_entries(meta, members)
  for i = 1, #found, 2 do
    local iat, jti_from = parse(found[i], tonumber(found[i + 1]))
    local entry = legacy[found[i]]
    if entry then iat = entry.iat end
    if iat and found[i] ~= member and not gone[found[i]] and not drop_if_idle(found[i]) then
      local key_id = entry and key_ids[entry.key] or base36(string.match(found[i], '^%w+'))
      others[#others + 1] = { member = found[i], iat = iat, jti = string.sub(found[i], jti_from), key_id = key_id }
    end
  end
  local excess = #others + 1 - maximum
  if excess <= 0 then return true end
  table.sort(others, is_older)
  for i = 1, excess do
    drop_later(others[i].member)
  end
  return #found < 2 * window
end

local function takes(stored)
  if stored == '' then return false end
  local meta_type = redis.call('TYPE', meta).ok
  return meta_type == 'hash' or meta_type == 'none'
end

-- Adds the entry at ARGV[i], and evicts the oldest others beyond its maximum, or else returns REFUSED. Returns
-- AGAIN if reading more members would take too long: the caller adds the entry again with another call. The second
-- result is whether the entry is new; nil if that was not read.
local function add_entry(i)
  local member, exp, limit, stored = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  local refuses, maximum = limit < 0, math.abs(limit)
  if members_read >= MEMBERS_PER_CALL or gone[member] then return AGAIN end
  if refuses and tonumber(redis.call('ZSCORE', set, member) or 0) <= horizon and is_full(member, maximum) then
    return REFUSED
  end
  local takes_meta = takes(stored)
  local is_new = redis.call('ZADD', set, exp, member) == 1
  if ARGV[4] ~= '' then
    redis.call('ZADD', set, 'LT', ARGV[4], seen_member(member))
    if idle then idle[seen_member(member)] = nil end
  end
  if ARGV[i + 4] ~= '' then cache_status(ARGV[i + 4], ARGV[i + 5], '') end
  -- What was stored for an entry that is gone, or is damaged, must not stay.
  local replaces = is_legacy(member) and (is_new or not read_legacy_entries(meta, {member})[member])
  if takes_meta then redis.call(replaces and 'HSET' or 'HSETNX', meta, member, stored) end
  if refuses or maximum == 0 or redis.call('ZCOUNT', set, '(' .. horizon, '+inf') - #dropped <= maximum then return DONE, is_new end
  return make_room(member, maximum) and DONE or AGAIN, is_new
end

local function complete()
  local last = last_exp(set, gone)
  -- Only now, because a renewed entry is no longer expired.
  for _, member in ipairs(expired_entries(set)) do dropped[#dropped + 1] = member end
  finish(set, meta, dropped, last)
end

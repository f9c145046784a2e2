-- How each write ends: the keys expire with the last entry that stays; without entries nothing of ours is left. (EXPIRE GT
-- leaves a key without an expiry as it is, Redis 7.0.) A member that is not an entry is foreign: it stays, and keeps the set.
--
-- The order in `finish` matters. A key that a removal empties is gone, and where its slot is moving away, touching a missing
-- key breaks the script off halfway (Redis 7.0: "non local key"). So what may empty a key is the last to touch it.

-- Expired entries, and how many members were looked at for them: of those that expired first a thousand at most.
local function expired_entries(set)
  local found = redis.call('ZRANGEBYSCORE', set, '(0', horizon, 'WITHSCORES', 'LIMIT', 0, MEMBERS_PER_CALL)
  local members = {}
  for i = 1, #found, 2 do
    if parse(found[i], tonumber(found[i + 1])) then members[#members + 1] = found[i] end
  end
  return members, #found / 2
end

-- Of the live entries but those that are going, without reading all of them; nil where there are none.
local function last_exp(set, going)
  local from, count = 0, 8
  while true do
    local top = redis.call('ZREVRANGEBYSCORE', set, '+inf', '(' .. horizon, 'WITHSCORES', 'LIMIT', from, count)
    if #top == 0 then return nil end
    for i = 1, #top, 2 do
      local exp = tonumber(top[i + 1])
      if not (going and going[top[i]]) and parse(top[i], exp) then return exp end
    end
    -- Members that are none of ours may lie above: twice as many each time, for each call counts its way down from the top.
    from, count = from + count, 2 * count
  end
end

-- Lua 5.1 unpacks some 8,000 values at most.
local function call_in_portions(command, key, members)
  for i = 1, #members, 1000 do
    redis.call(command, key, unpack(members, i, math.min(i + 999, #members)))
  end
end

local function drop(set, labels, dropped)
  if #dropped == 0 then return end
  if redis.call('TYPE', labels).ok == 'hash' then call_in_portions('HDEL', labels, dropped) end
  call_in_portions('ZREM', set, dropped)
end

-- Labels go with the last entry.
local function finish(set, labels, dropped, exp)
  local has_labels = redis.call('TYPE', labels).ok == 'hash'
  if exp == nil then
    if has_labels then redis.call('UNLINK', labels) end
    local noted = redis.call('ZMSCORE', set, STATUS_MEMBER, VERSION_MEMBER)
    if noted[1] then dropped[#dropped + 1] = STATUS_MEMBER end
    if noted[2] then dropped[#dropped + 1] = VERSION_MEMBER end
    if redis.call('ZCARD', set) == #dropped then
      redis.call('UNLINK', set)
    else
      call_in_portions('ZREM', set, dropped)
    end
    return
  end
  local at = string.format('%.0f', exp + tolerance)
  if has_labels then redis.call('EXPIREAT', labels, at) end
  redis.call('EXPIREAT', set, at)
  drop(set, labels, dropped)
end

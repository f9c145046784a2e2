-- Every write ends with `finish`, where the command that may empty a key comes last: touching a missing key
-- while its slot moves away stops the script halfway (Redis 7.0). EXPIRE GT ignores a key without an expiry
-- (Redis 7.0). Foreign members, which are not entries, go with the set; a set without any of ours stays.

local function expired_entries(set)
  local found = redis.call('ZRANGEBYSCORE', set, '(0', horizon, 'WITHSCORES', 'LIMIT', 0, MEMBERS_PER_CALL)
  local members = {}
  for i = 1, #found, 2 do
    if parse(found[i], tonumber(found[i + 1])) then members[#members + 1] = found[i] end
  end
  return members, #found / 2
end

-- Returns the last exp of the live entries that stay; nil if there are none.
local function last_exp(set, going)
  local from, count = 0, 8
  while true do
    local top = redis.call('ZREVRANGEBYSCORE', set, '+inf', '(' .. horizon, 'WITHSCORES', 'LIMIT', from, count)
    if #top == 0 then return nil end
    for i = 1, #top, 2 do
      local exp = tonumber(top[i + 1])
      if not (going and going[top[i]]) and parse(top[i], exp) then return exp end
    end
    -- Each call counts from the top, so read twice as many each time.
    from, count = from + count, 2 * count
  end
end

-- Lua 5.1 unpacks at most 8,000 values.
local function call_in_portions(command, key, members)
  for i = 1, #members, 1000 do
    redis.call(command, key, unpack(members, i, math.min(i + 999, #members)))
  end
end

local function drop(set, meta, dropped)
  if #dropped == 0 then return end
  if redis.call('TYPE', meta).ok == 'hash' then call_in_portions('HDEL', meta, dropped) end
  local members = {}
  for i = 1, #dropped do members[2 * i - 1], members[2 * i] = dropped[i], seen_member(dropped[i]) end
  call_in_portions('ZREM', set, members)
end

local function finish(set, meta, dropped, exp)
  local has_meta = redis.call('TYPE', meta).ok == 'hash'
  if exp == nil then
    local status = redis.call('ZMSCORE', set, STATUS_MEMBER, VERSION_MEMBER)
    if #dropped == 0 and not (status[1] or status[2]) then return end
    if has_meta then redis.call('UNLINK', meta) end
    redis.call('UNLINK', set)
    return
  end
  local at = string.format('%.0f', exp + tolerance)
  if has_meta then redis.call('EXPIREAT', meta, at) end
  redis.call('EXPIREAT', set, at)
  drop(set, meta, dropped)
end

-- Adds entries of one subject, one after the other. For each, the oldest others beyond the maximum make room, as
-- RegistrationOptions defines. Removes at most a thousand expired members too.
--
-- Stops early after looking at a thousand members, or where more room has to be made than one call makes. The caller then calls
-- again from the first entry that is not done; adding an entry again changes nothing.
--
-- Does nothing after its deadline. A server that hung still runs what it has received, but by then the client has reported a
-- failure, and no older token may make room for it.
--
-- ARGV: horizon, tolerance, deadline (in milliseconds, by the server's clock), and for each entry: member, exp, maximum (0:
-- none), label ('': none), status score ('': none), version. Returns {TOO_LATE, server's time in milliseconds}; or 1, how many
-- entries are done, and member and exp of each entry that made room.
local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if time_ms > tonumber(ARGV[3]) then return {TOO_LATE, time_ms} end
local answer = {1, 0}
-- Removed at the end, because what may empty a key must be the last to touch it.
local dropped, gone, looked_at = {}, {}, 0

local function is_older(a, b)
  if a.iat ~= b.iat then return a.iat < b.iat end
  if a.jti ~= b.jti then return is_before(a.jti, b.jti) end
  return a.key_id < b.key_id
end

-- Removes the oldest others beyond the maximum, and returns whether that was all of them. In a set with more members than
-- are read, the newest of those read stay, as many as the maximum allows: so nothing goes that has to stay.
local function make_room(member, maximum)
  local window = math.max(MEMBERS_PER_CALL, 2 * maximum)
  local found = redis.call('ZRANGEBYSCORE', set, '(' .. horizon, '+inf', 'WITHSCORES', 'LIMIT', 0, window)
  looked_at = looked_at + #found / 2
  local others = {}
  for i = 1, #found, 2 do
    local iat, jti_from = parse(found[i], tonumber(found[i + 1]))
    if iat and found[i] ~= member and not gone[found[i]] then
      local key_id = base36(string.match(found[i], '^%w+'))
      others[#others + 1] =
        { member = found[i], score = found[i + 1], iat = iat, jti = string.sub(found[i], jti_from), key_id = key_id }
    end
  end
  local excess = #others + 1 - maximum
  if excess <= 0 then return true end
  table.sort(others, is_older)
  for i = 1, excess do
    local other = others[i]
    dropped[#dropped + 1], gone[other.member] = other.member, true
    answer[#answer + 1] = other.member
    answer[#answer + 1] = other.score
  end
  return #found < 2 * window
end

for i = 4, #ARGV, 6 do
  local member, exp, maximum, label = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  if looked_at >= MEMBERS_PER_CALL or gone[member] then break end
  redis.call('ZADD', set, exp, member)
  if ARGV[i + 4] ~= '' then cache_status(ARGV[i + 4], ARGV[i + 5], '') end
  if label ~= '' then
    local labels_type = redis.call('TYPE', labels).ok
    if labels_type == 'hash' or labels_type == 'none' then redis.call('HSETNX', labels, member, label) end
  end
  if maximum > 0 and redis.call('ZCARD', set) - #dropped > maximum and not make_room(member, maximum) then break end
  answer[2] = answer[2] + 1
end

local last = last_exp(set, gone)
-- Only now, for what has just been renewed is not among them.
for _, member in ipairs(expired_entries(set)) do dropped[#dropped + 1] = member end
finish(set, labels, dropped, last)
return answer

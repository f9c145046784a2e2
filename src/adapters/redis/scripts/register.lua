-- Adds entries of one subject, one after the other. For each, the oldest others beyond the maximum make room. Removes at
-- most a thousand expired members too.
--
-- Stops early rather than look at more than some thousand members: after the entry with which it got there, or at one for
-- which more room has to be made. The caller then calls again from the first entry that is not done; adding an entry again
-- changes nothing.
--
-- Among up to a thousand live members, exactly the oldest go. In a larger set they are chosen from the thousand that expire
-- first, of which the newest stay, as many as may stay at all. Until all that has to go has gone, the subject has more than
-- the maximum. Where more than half of those may stay, or foreign members stand among them, the script cannot choose: it ends
-- with an entry that is added and leaves it to the caller to make room.
--
-- Does nothing after its deadline. A server that hung still runs what it has received, but by then the client has reported a
-- failure, and no older token may make room for it.
--
-- ARGV: horizon, tolerance, deadline (in milliseconds, by the server's clock), and for each entry: member, exp, maximum (0:
-- none), label ('': none), status score ('': none), version. Returns {TOO_LATE, server's time in milliseconds}; or 1, how many entries are done, whether room still has to be made for the last of them (1 or 0), then
-- member and exp of each entry that made room.
local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if time_ms > tonumber(ARGV[3]) then return {TOO_LATE, time_ms} end
local answer = {1, 0, 0}
-- What is to go goes at the end, so that what may empty a key is the last to touch it.
local dropped, gone, looked_at = {}, {}, 0

local function is_older(a, b)
  if a.iat ~= b.iat then return a.iat < b.iat end
  if a.jti ~= b.jti then return is_before(a.jti, b.jti) end
  return a.key_id < b.key_id
end

-- Whether all of it was made, and whether it is left to be made.
local function make_room(member, maximum)
  local found = redis.call('ZRANGEBYSCORE', set, '(' .. horizon, '+inf', 'WITHSCORES', 'LIMIT', 0, MEMBERS_PER_CALL)
  looked_at = looked_at + #found / 2
  local others, beyond = {}, redis.call('ZCOUNT', set, '(' .. horizon, '+inf') - #found / 2
  local status = redis.call('ZSCORE', set, STATUS_MEMBER)
  local unseen = { [member] = true, [STATUS_MEMBER] = status and tonumber(status) > horizon or nil }
  local strangers = 0
  for i = 1, #found, 2 do
    unseen[found[i]] = nil
    local iat, jti_from = parse(found[i], tonumber(found[i + 1]))
    if not iat and found[i] ~= STATUS_MEMBER then strangers = strangers + 1 end
    if iat and found[i] ~= member and not gone[found[i]] then
      others[#others + 1] = { member = found[i], score = found[i + 1], iat = iat, jti = string.sub(found[i], jti_from), key_id = tonumber(string.match(found[i], '^%w+'), 36) }
    end
  end
  local excess, is_all = #others + 1 - maximum, true
  if beyond > 0 then
    for _ in pairs(unseen) do beyond = beyond - 1 end
    excess = excess + beyond
    if excess > 0 and beyond > 0 then
      if strangers > 0 or maximum > MEMBERS_PER_CALL / 2 then return true, true end
      excess, is_all = #others - maximum + 1, false
    end
  end
  if excess > 0 then table.sort(others, is_older) end
  for i = 1, excess do
    dropped[#dropped + 1], gone[others[i].member] = others[i].member, true
    answer[#answer + 1] = others[i].member
    answer[#answer + 1] = others[i].score
  end
  return is_all, false
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
  local is_all, is_left = true, false
  if maximum > 0 and redis.call('ZCARD', set) - #dropped > maximum then is_all, is_left = make_room(member, maximum) end
  if not is_all then break end
  answer[2] = answer[2] + 1
  if is_left then
    answer[3] = 1
    break
  end
end

local last = last_exp(set, gone)
-- Only now, for what has just been renewed is not among them.
for _, member in ipairs(expired_entries(set)) do dropped[#dropped + 1] = member end
finish(set, labels, dropped, last)
return answer

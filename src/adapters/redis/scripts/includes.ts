import { STATUS_MEMBER, VERSION_MEMBER } from '../keyspace.js';

/** How much of a set one call of a script goes through: a server does nothing else meanwhile. */
export const MEMBERS_PER_CALL = 1000;

/** From here on a double is no exact integer: 2^53. */
export const TOO_LARGE = Number.MAX_SAFE_INTEGER + 1;

/** What a member and its score mean: see {@link parseEntry}. */
export const ENTRIES = `
local tolerance, time = tonumber(ARGV[2]), redis.call('TIME')
-- A host whose clock is ahead must not drop entries that are still valid.
local horizon = math.min(tonumber(ARGV[1]), tonumber(time[1]) - tolerance)

-- Of what base36 of keyspace.ts writes; nil for all else.
local function base36(text)
  if #text > 10 or (#text > 1 and string.byte(text) == 48) then return nil end
  return tonumber(text, 36)
end

-- Key ids by their text, for many members share one; false for what is none.
local key_ids = setmetatable({}, { __index = function(known, text)
  known[text] = base36(text) or false
  return known[text]
end })

-- Iat and where the jti begins; nil for what is no entry.
local function parse(member, exp)
  if exp <= 0 or exp >= ${TOO_LARGE} or exp % 1 ~= 0 then return nil end
  local key, iat_text, jti_from = string.match(member, '^([0-9a-z]+)%.([0-9a-z]+)%.()')
  local iat = key and key_ids[key] and base36(iat_text)
  return iat, jti_from
end
`;

/**
 * How each write ends: the keys expire with the last entry that stays, and without any nothing of ours is left. (EXPIRE GT
 * would not do: it leaves a key without an expiry as it is, Redis 7.0.) A member that is no entry is somebody else's: it
 * stays, and where nothing else does it keeps the set.
 *
 * The order in `finish` matters: a key that a removal empties is gone, and where its slot is moving away, touching a key
 * that is gone breaks the script off halfway (Redis 7.0: "non local key"). So what may empty a key is the last to touch it.
 */
export const EXPIRY = `
-- Expired entries, and how many members were looked at for them: of those that expired first a thousand at most.
local function expired_entries(set)
  local found = redis.call('ZRANGEBYSCORE', set, '(0', horizon, 'WITHSCORES', 'LIMIT', 0, ${MEMBERS_PER_CALL})
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

-- Those of these members, and of some thousand fields behind a cursor those of ours: a field that no entry could have is
-- somebody else's. The next cursor; '0' where it has been through all of them.
local function drop_labels(labels, members, cursor)
  local scanned = redis.call('HSCAN', labels, cursor, 'COUNT', ${MEMBERS_PER_CALL})
  local fields = { unpack(members) }
  for i = 1, #scanned[2], 2 do
    if parse(scanned[2][i], 1) then fields[#fields + 1] = scanned[2][i] end
  end
  if #fields > 0 then redis.call('HDEL', labels, unpack(fields)) end
  return scanned[1]
end

-- With no entry left all labels go: from which cursor on there may be more of them, '0' where there are none.
local function finish(set, labels, dropped, exp, cursor)
  local labelled = redis.call('TYPE', labels).ok == 'hash'
  if exp == nil then
    local rest = labelled and drop_labels(labels, dropped, cursor or '0') or '0'
    local noted = redis.call('ZMSCORE', set, '${STATUS_MEMBER}', '${VERSION_MEMBER}')
    if noted[1] then dropped[#dropped + 1] = '${STATUS_MEMBER}' end
    if noted[2] then dropped[#dropped + 1] = '${VERSION_MEMBER}' end
    if redis.call('ZCARD', set) == #dropped then
      redis.call('UNLINK', set)
    else
      call_in_portions('ZREM', set, dropped)
    end
    return rest
  end
  local at = string.format('%.0f', exp + tolerance)
  if labelled then redis.call('EXPIREAT', labels, at) end
  redis.call('EXPIREAT', set, at)
  drop(set, labels, dropped)
  return '0'
end
`;

/** The order of members. */
export const ORDER = `
-- By bytes, as a sorted set orders its members; Lua compares strings by the locale.
local function is_before(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then return a < b end
  end
  return #one < #other
end
`;

/** The members of a sorted set in portions, each once that is there all the while. With {@link ORDER}. */
export const PAGING = `
-- How many members come before this place in the order, or hold it. Whoever held it may be gone.
local function rank_behind(set, score, member)
  local low, high = redis.call('ZCOUNT', set, '-inf', '(' .. score), redis.call('ZCOUNT', set, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(member, redis.call('ZRANGE', set, middle, middle)[1]) then high = middle else low = middle + 1 end
  end
  return low
end

-- Members and scores behind a cursor, and the next cursor: a score and a member in hexadecimal. The first and the last
-- cursor are ''.
local function page(set, cursor)
  local from = 0
  if cursor ~= '' then
    local score, hex = string.match(cursor, '^(%S+) (%x*)$')
    from = rank_behind(set, score, (string.gsub(hex, '..', function(byte) return string.char(tonumber(byte, 16)) end)))
  end
  local found = redis.call('ZRANGE', set, from, from + ${MEMBERS_PER_CALL}, 'WITHSCORES')
  if #found <= 2 * ${MEMBERS_PER_CALL} then return found, '' end
  table.remove(found)
  table.remove(found)
  local hex = string.gsub(found[#found - 1], '.', function(byte) return string.format('%02x', string.byte(byte)) end)
  return found, found[#found] .. ' ' .. hex
end
`;

import { createHash } from 'node:crypto';
import { STATUS_MEMBER, VERSION_MEMBER } from './keyspace.js';
import type { Command } from './pipeline.js';

/**
 * A script over one subject. All of them are atomic, name every key that they touch, and take the time as an argument.
 * They answer {@link NOT_OURS} and leave everything alone where the set's name is held by a key of another type.
 */
export interface Script {
  readonly sha: string;
  readonly source: string;
}

/** The first element of a script's answer; the rest is the script's own. */
export const NOT_OURS = 0;

const PAGE_SIZE = 1000;

/** By its hash; a server that does not have it answers NOSCRIPT (a new master after a failover has none). */
export function byHash(
  script: Script,
  keys: readonly string[],
  args: ReadonlyArray<string | number>,
): Command {
  return ['evalsha', script.sha, keys.length, ...keys, ...args];
}

export function bySource(
  script: Script,
  keys: readonly string[],
  args: ReadonlyArray<string | number>,
): Command {
  return ['eval', script.source, keys.length, ...keys, ...args];
}

/*
 * Every script begins with these. ARGV[1] is the horizon, `now - tolerance`: what expired by then counts as gone; ARGV[2]
 * is the tolerance.
 *
 * `finish` ends each write: the keys expire with the last entry that stays, and without any nothing of ours is left. (EXPIRE
 * GT would not do: it leaves a key without an expiry as it is, Redis 7.0.) A member that is no entry is somebody else's: it
 * stays, and where nothing else does it keeps the set. The order matters: a key that a removal empties is gone, and where
 * its slot is moving away, touching a key that is gone breaks the script off halfway (Redis 7.0: "non local key"). So what
 * may empty a key is the last to touch it.
 */
const COMMON = `
local set, labels = KEYS[1], KEYS[2]
local horizon, tolerance = ARGV[1], tonumber(ARGV[2])

local set_type, labels_type = redis.call('TYPE', set).ok, redis.call('TYPE', labels).ok
if set_type ~= 'zset' and set_type ~= 'none' then return {${NOT_OURS}} end
local labelled = labels_type == 'hash'

local function is_number(text)
  return #text <= 10 and (text == '0' or string.sub(text, 1, 1) ~= '0')
end

-- As parseEntry does: what is no entry there is none here.
local function parse(member, score)
  local key_id, iat, jti = string.match(member, '^([0-9a-z]+)%.([0-9a-z]+)%.(.*)$')
  local exp = tonumber(score)
  if key_id == nil or not is_number(key_id) or not is_number(iat) then return nil end
  if exp <= 0 or exp >= 9007199254740992 or exp % 1 ~= 0 then return nil end
  return { member = member, score = score, exp = exp, key_id = tonumber(key_id, 36), iat = tonumber(iat, 36), jti = jti }
end

local function live_entries()
  local found = redis.call('ZRANGEBYSCORE', set, '(' .. horizon, '+inf', 'WITHSCORES')
  local entries = {}
  for i = 1, #found, 2 do
    entries[#entries + 1] = parse(found[i], found[i + 1])
  end
  return entries
end

local function expired_entries()
  local found, members = redis.call('ZRANGEBYSCORE', set, '(0', horizon, 'WITHSCORES'), {}
  for i = 1, #found, 2 do
    if parse(found[i], found[i + 1]) then members[#members + 1] = found[i] end
  end
  return members
end

-- Of the live entries, without reading all of them; nil where there are none.
local function last_exp()
  local from = 0
  while true do
    local top = redis.call('ZREVRANGEBYSCORE', set, '+inf', '(' .. horizon, 'WITHSCORES', 'LIMIT', from, 8)
    if #top == 0 then return nil end
    for i = 1, #top, 2 do
      local entry = parse(top[i], top[i + 1])
      if entry then return entry.exp end
    end
    from = from + 8
  end
end

-- Lua 5.1 unpacks some 8,000 values at most.
local function call_in_portions(command, key, members)
  for i = 1, #members, 1000 do
    redis.call(command, key, unpack(members, i, math.min(i + 999, #members)))
  end
end

local function finish(dropped, exp)
  if exp == nil then
    if labelled then redis.call('DEL', labels) end
    for _, member in ipairs({ '${STATUS_MEMBER}', '${VERSION_MEMBER}' }) do
      if redis.call('ZSCORE', set, member) then dropped[#dropped + 1] = member end
    end
    if redis.call('ZCARD', set) == #dropped then
      redis.call('DEL', set)
    else
      call_in_portions('ZREM', set, dropped)
    end
    return
  end
  local at = string.format('%.0f', exp + tolerance)
  if labelled then
    redis.call('EXPIREAT', labels, at)
    call_in_portions('HDEL', labels, dropped)
  end
  redis.call('EXPIREAT', set, at)
  call_in_portions('ZREM', set, dropped)
end

local function note_status(score, version)
  local known = redis.call('ZSCORE', set, '${VERSION_MEMBER}')
  if known and -tonumber(known) > tonumber(version) then return 0 end
  redis.call('ZADD', set, score, '${STATUS_MEMBER}', '-' .. version, '${VERSION_MEMBER}')
  return 1
end
`;

/** The members of a sorted set in portions, each once that is there all the while: see {@link PAGE}. */
const PAGING = `
-- By bytes, as a sorted set orders its members; Lua compares strings by the locale.
local function is_before(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then return a < b end
  end
  return #one < #other
end

-- How many members come before this place in the order, or hold it.
local function rank_behind(set, score, member)
  local own = redis.call('ZSCORE', set, member)
  if own and tonumber(own) == tonumber(score) then return redis.call('ZRANK', set, member) + 1 end
  local low, high = redis.call('ZCOUNT', set, '-inf', '(' .. score), redis.call('ZCOUNT', set, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(member, redis.call('ZRANGE', set, middle, middle)[1]) then high = middle else low = middle + 1 end
  end
  return low
end

-- Members and scores behind the cursor, and the next cursor: a score and a member in hexadecimal. Both begin as ''.
local function page(set, cursor)
  local from = 0
  if cursor ~= '' then
    local score, hex = string.match(cursor, '^(%S+) (%x*)$')
    from = rank_behind(set, score, (string.gsub(hex, '..', function(byte) return string.char(tonumber(byte, 16)) end)))
  end
  local found = redis.call('ZRANGE', set, from, from + ${PAGE_SIZE}, 'WITHSCORES')
  if #found <= 2 * ${PAGE_SIZE} then return found, '' end
  table.remove(found)
  table.remove(found)
  local hex = string.gsub(found[#found - 1], '.', function(byte) return string.format('%02x', string.byte(byte)) end)
  return found, found[#found] .. ' ' .. hex
end
`;

/**
 * Reads a portion of a sorted set, in the order of scores and members, from where the last portion ended. Members that
 * come and go meanwhile move nothing: the place is found anew by score and member, and that member may be gone.
 *
 * KEYS: the set. ARGV: cursor. Answers: the next cursor ('': there is no more), then members and scores.
 */
export const PAGE = script(
  `
local found, cursor = page(KEYS[1], ARGV[1])
table.insert(found, 1, cursor)
return found
`,
  PAGING,
);

/**
 * Adds an entry; the oldest others beyond the maximum make room for it.
 *
 * ARGV: horizon, tolerance, member, exp, maximum (0: none), label ('': none), status score ('': none), version.
 * Answers: 1, then member and exp of each entry that made room.
 */
export const REGISTER = script(`
local member, exp, maximum, label = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local answer = {1}
redis.call('ZADD', set, exp, member)
if ARGV[7] ~= '' then note_status(ARGV[7], ARGV[8]) end
if label ~= '' and (labelled or labels_type == 'none') then
  redis.call('HSETNX', labels, member, label)
  labelled = true
end

-- Only now, for what has just been renewed is not among them.
local dropped, last = expired_entries(), last_exp()
if maximum > 0 and redis.call('ZCARD', set) > maximum then
  local others = {}
  for _, entry in ipairs(live_entries()) do
    if entry.member ~= member then others[#others + 1] = entry end
  end
  table.sort(others, function(a, b)
    if a.iat ~= b.iat then return a.iat < b.iat end
    return a.jti < b.jti
  end)
  last = tonumber(exp)
  for i, entry in ipairs(others) do
    if i <= #others + 1 - maximum then
      dropped[#dropped + 1] = entry.member
      answer[#answer + 1] = entry.member
      answer[#answer + 1] = entry.score
    else
      last = math.max(last, entry.exp)
    end
  end
end
finish(dropped, last)
return answer
`);

/**
 * Notes the user's status where there are entries and no newer version is known.
 *
 * ARGV: horizon, tolerance, status score, version. Answers: 1, then whether it was noted.
 */
export const SET_STATUS = script(`
local last = last_exp()
if last == nil then
  finish(expired_entries(), nil)
  return {1, 0}
end
return {1, note_status(ARGV[3], ARGV[4])}
`);

/**
 * Removes the entries that match, or only counts them.
 *
 * ARGV: horizon, tolerance, 'remove' or 'count', whether a jti is given (1 or 0), the jti, key id ('': any),
 * issuedBefore ('': any). Answers: 1, then how many matched, the largest iat among them (-1: none), and key id and count
 * of each key among them.
 */
export const REMOVE = script(`
local jti = ARGV[4] == '1' and ARGV[5] or nil
local key_id, issued_before = tonumber(ARGV[6]), tonumber(ARGV[7])
local entries = live_entries()

local matching, largest_iat, last, by_key_id = {}, -1, nil, {}
for _, entry in ipairs(entries) do
  if (jti == nil or entry.jti == jti)
    and (key_id == nil or entry.key_id == key_id)
    and (issued_before == nil or entry.iat <= issued_before) then
    matching[#matching + 1] = entry.member
    largest_iat = math.max(largest_iat, entry.iat)
    by_key_id[entry.key_id] = (by_key_id[entry.key_id] or 0) + 1
  else
    last = math.max(last or 0, entry.exp)
  end
end

-- Where nothing goes nothing is written: a removal everywhere passes by every subject.
if ARGV[3] == 'remove' and (#matching > 0 or #entries == 0) then
  local dropped = expired_entries()
  for _, member in ipairs(matching) do dropped[#dropped + 1] = member end
  finish(dropped, last)
end
local answer = {1, #matching, largest_iat}
for id, count in pairs(by_key_id) do
  answer[#answer + 1] = id
  answer[#answer + 1] = count
end
return answer
`);

/**
 * Removes these entries and what has expired, and has both keys expire with the last entry that stays.
 *
 * ARGV: horizon, tolerance, members. Answers: 1, then how many of these entries lived, and whether there was anything.
 */
export const TIDY = script(`
if set_type == 'none' and not labelled then return {1, 0, 0} end
local dropped, removed = expired_entries(), 0
for i = 3, #ARGV do
  local score = redis.call('ZSCORE', set, ARGV[i])
  if score and tonumber(score) > tonumber(horizon) then
    dropped[#dropped + 1] = ARGV[i]
    removed = removed + 1
  end
end
local going = {}
for _, member in ipairs(dropped) do going[member] = true end
local last
for _, entry in ipairs(live_entries()) do
  if not going[entry.member] then last = math.max(last or 0, entry.exp) end
end
finish(dropped, last)
return {1, removed, 1}
`);

function script(body: string, prelude = COMMON): Script {
  const source = `${prelude}${body}`;
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

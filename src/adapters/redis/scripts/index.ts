import { script } from '../cluster/script.js';
import { STATUS_MEMBER, VERSION_MEMBER } from '../keyspace.js';
import { ENTRIES, EXPIRY, MEMBERS_PER_CALL, ORDER, PAGING, TOO_LARGE } from './includes.js';

/** The first element of a script's answer, where the set's name is held by a key of another type; otherwise it is 1. */
export const NOT_OURS = 0;

/** The first element of {@link REGISTER}'s answer if its deadline has passed; the second is the server's time. */
export const TOO_LATE = -1;

/** Of the scripts over one subject, whose keys are its set and its labels: a foreign key is left alone. */
const SUBJECT = `
local set, labels = KEYS[1], KEYS[2]
local set_type = redis.call('TYPE', set).ok
if set_type ~= 'zset' and set_type ~= 'none' then return {${NOT_OURS}} end
`;

const STATUS = `
-- Returns the higher version that is kept, or 0. An invalid version does not count.
local function cache_status(score, version, replaces)
  local known = -tonumber(redis.call('ZSCORE', set, '${VERSION_MEMBER}') or 0)
  if known < 0 or known >= ${TOO_LARGE} or known % 1 ~= 0 then known = 0 end
  if known > tonumber(version) and known ~= tonumber(replaces) then return known end
  redis.call('ZADD', set, score, '${STATUS_MEMBER}', '-' .. version, '${VERSION_MEMBER}')
  return 0
end
`;

/**
 * Adds entries of one subject, one after the other; for each the oldest others beyond the maximum make room. What has
 * expired goes too, a thousand at most.
 *
 * It ends early rather than look at more than some thousand members: behind the entry with which it got there, or at one for
 * which more room has to be made. Whoever called it calls again, from the first entry that is not done; to add one again
 * changes nothing.
 *
 * Of up to a thousand that live exactly the oldest go. In a larger set they are looked for among the thousand that expire
 * first, of which the newest stay, as many as may stay at all. So what goes is among what has to go, and until all of that
 * has gone the subject has more than the maximum. That is not to be had where more than half of them may stay, nor where
 * members that are none of ours stand among them, for how many more there are behind them no count tells: there it ends with
 * an entry that is added, and leaves the room for it to be made by whoever called.
 *
 * After its deadline it does nothing: a server that hung still carries out what it has received, and by then the client has
 * reported a failure, so that no older token may make room for it.
 *
 * ARGV: horizon, tolerance, deadline (in milliseconds, by the server's clock), and for each entry: member, exp, maximum (0:
 * none), label ('': none), status score ('': none), version. Answers: 1, how many entries are done, whether room is still to be made for the last of them (1 or 0), then member
 * and exp of each entry that made room.
 */
export const REGISTER = script(
  SUBJECT,
  ENTRIES,
  EXPIRY,
  STATUS,
  ORDER,
  `
local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if time_ms > tonumber(ARGV[3]) then return {${TOO_LATE}, time_ms} end
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
  local found = redis.call('ZRANGEBYSCORE', set, '(' .. horizon, '+inf', 'WITHSCORES', 'LIMIT', 0, ${MEMBERS_PER_CALL})
  looked_at = looked_at + #found / 2
  local others, beyond = {}, redis.call('ZCOUNT', set, '(' .. horizon, '+inf') - #found / 2
  local status = redis.call('ZSCORE', set, '${STATUS_MEMBER}')
  local unseen = { [member] = true, ['${STATUS_MEMBER}'] = status and tonumber(status) > horizon or nil }
  local strangers = 0
  for i = 1, #found, 2 do
    unseen[found[i]] = nil
    local iat, jti_from = parse(found[i], tonumber(found[i + 1]))
    if not iat and found[i] ~= '${STATUS_MEMBER}' then strangers = strangers + 1 end
    if iat and found[i] ~= member and not gone[found[i]] then
      others[#others + 1] = { member = found[i], score = found[i + 1], iat = iat, jti = string.sub(found[i], jti_from), key_id = tonumber(string.match(found[i], '^%w+'), 36) }
    end
  end
  local excess, is_all = #others + 1 - maximum, true
  if beyond > 0 then
    for _ in pairs(unseen) do beyond = beyond - 1 end
    excess = excess + beyond
    if excess > 0 and beyond > 0 then
      if strangers > 0 or maximum > ${MEMBERS_PER_CALL / 2} then return true, true end
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
  if looked_at >= ${MEMBERS_PER_CALL} or gone[member] then break end
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
for _, member in ipairs((expired_entries(set))) do dropped[#dropped + 1] = member end
finish(set, labels, dropped, last)
return answer
`,
);

/**
 * Caches the user's status if the subject has entries and no higher version is cached, except the one to replace.
 *
 * ARGV: horizon, tolerance, status score, version, the version to replace ('': none). Returns 1; whether labels may be left
 * without an entry (1 or 0), for {@link REMOVE_ENTRIES}; and the higher version that is kept ('0': none).
 */
export const SET_STATUS = script(
  SUBJECT,
  ENTRIES,
  EXPIRY,
  STATUS,
  `
if last_exp(set) == nil then
  return {1, finish(set, labels, (expired_entries(set)), nil) ~= '0' and 1 or 0, '0'}
end
return {1, 0, string.format('%.0f', cache_status(ARGV[3], ARGV[4], ARGV[5]))}
`,
);

/**
 * Reads a portion of a set, in the order of scores and members, from where the last portion ended. Members that come and go
 * meanwhile move nothing: the place is found anew by score and member, and that member may be gone.
 *
 * KEYS: the set. ARGV: cursor. Answers: the next cursor ('': there is no more), then members and scores.
 */
export const PAGE = script(
  ORDER,
  PAGING,
  `
local found, cursor = page(KEYS[1], ARGV[1])
table.insert(found, 1, cursor)
return found
`,
);

/**
 * What {@link REMOVE} and {@link REMOVE_PORTION} do with live members. They are asked for without their scores, which would
 * cost a server half as much again: so here an entry is told by its member alone.
 */
const REMOVING = `
local jti = ARGV[3] == '1' and ARGV[4] or nil
local wanted_key, issued_before = ARGV[5] ~= '' and ARGV[5] or nil, tonumber(ARGV[6])
local largest_iat, by_key = -1, {}

-- The members of the matching entries.
local function sift(members)
  local going, count = {}, 0
  for i = 1, #members do
    local member = members[i]
    local key, iat_text, jti_from = string.match(member, '^([0-9a-z]+)%.([0-9a-z]+)%.()')
    local iat = key and base36(iat_text)
    if iat and key_ids[key]
      and (wanted_key == nil or key == wanted_key)
      and (issued_before == nil or iat <= issued_before)
      and (jti == nil or string.sub(member, jti_from) == jti) then
      count = count + 1
      going[count] = member
      by_key[key] = (by_key[key] or 0) + 1
      if iat > largest_iat then largest_iat = iat end
    end
  end
  return going, count
end

-- What has expired goes with it: how many members were looked at for that, and whether there may be labels left.
local function remove(set, labels, going, live_count)
  local gone, count = {}, #going
  for _, member in ipairs(going) do gone[member] = true end
  local expired, looked_at = expired_entries(set)
  for _, member in ipairs(expired) do going[#going + 1] = member end
  return looked_at, finish(set, labels, going, count ~= live_count and last_exp(set, gone) or nil) ~= '0'
end

local function add_counts(answer)
  answer[#answer + 1] = largest_iat
  for key, count in pairs(by_key) do
    answer[#answer + 1] = key_ids[key]
    answer[#answer + 1] = count
  end
  return answer
end
`;

/**
 * Removes the entries that match from several subjects of one slot. A set of very many entries, and what comes after very
 * many, is left to {@link REMOVE_PORTION}.
 *
 * KEYS: set and labels of each subject. ARGV: horizon, tolerance, whether a jti is given (1 or 0), the jti, key id in base
 * 36 ('': any), issuedBefore ('': any). Answers: how many members were looked at, how many sets are left and the place of
 * each among the subjects, from 0; the same of those without an entry of which labels may be left, for {@link REMOVE_ENTRIES}; how
 * many entries matched and in how many subjects; then the largest iat among these (-1: none), and key id and count of each
 * key among them.
 */
export const REMOVE = script(
  ENTRIES,
  EXPIRY,
  REMOVING,
  `
local seen, matched, subjects, large, labelled = 0, 0, 0, {}, {}
for i = 1, #KEYS, 2 do
  local set, labels = KEYS[i], KEYS[i + 1]
  local live = seen >= ${MEMBERS_PER_CALL} and {} or redis.pcall('ZRANGEBYSCORE', set, '(' .. horizon, '(${TOO_LARGE}', 'LIMIT', 0, ${MEMBERS_PER_CALL + 1})
  if live.err then
    -- A key of a foreign type is not ours.
    if not string.find(live.err, 'WRONGTYPE', 1, true) then return live end
  elseif seen >= ${MEMBERS_PER_CALL} or #live > ${MEMBERS_PER_CALL} then
    large[#large + 1] = (i - 1) / 2
  else
    local going, count = sift(live)
    seen = seen + #live
    if count > 0 then
      matched = matched + count
      subjects = subjects + 1
    end
    -- Where nothing goes nothing is written: a removal everywhere passes by every subject.
    if count > 0 or #live == 0 then
      local looked_at, is_labelled = remove(set, labels, going, #live)
      seen = seen + looked_at
      if is_labelled then labelled[#labelled + 1] = (i - 1) / 2 end
    end
  end
end
local answer = {seen, #large}
for _, place in ipairs(large) do answer[#answer + 1] = place end
answer[#answer + 1] = #labelled
for _, place in ipairs(labelled) do answer[#answer + 1] = place end
answer[#answer + 1] = matched
answer[#answer + 1] = subjects
return add_counts(answer)
`,
);

/**
 * The same for a portion of one large subject: see {@link PAGE}. Entries go in the order of their exp, and with the last
 * portion the keys get their new expiry, or go.
 *
 * KEYS: set, labels. ARGV: as of {@link REMOVE}, then cursor, and whether an earlier portion removed anything (1 or 0).
 * Answers: 1, then whether labels may be left without an entry (1 or 0), how many entries matched, the largest iat, and key id
 * and count of each key; the next cursor is the last.
 */
export const REMOVE_PORTION = script(
  SUBJECT,
  ENTRIES,
  EXPIRY,
  ORDER,
  PAGING,
  REMOVING,
  `
local found, cursor = page(set, ARGV[7])
local live = {}
for i = 1, #found, 2 do
  local exp = tonumber(found[i + 1])
  if exp > horizon and exp < ${TOO_LARGE} then live[#live + 1] = found[i] end
end
local going, matched = sift(live)
local is_labelled = false
if cursor ~= '' then
  drop(set, labels, going)
elseif matched > 0 or ARGV[8] == '1' or last_exp(set) == nil then
  is_labelled = select(2, remove(set, labels, going))
end
local answer = add_counts({1, is_labelled and 1 or 0, matched})
answer[#answer + 1] = cursor
return answer
`,
);

/**
 * Removes these entries and what has expired, and has both keys expire with the last entry that stays. At most a thousand
 * members are given, and a thousand go that have expired.
 *
 * KEYS: set, labels. ARGV: horizon, tolerance, a cursor of the labels ('0': the first), members. Answers: 1, then how many of
 * these entries lived, whether anything was there, whether there may be more that has expired, and from which cursor on there
 * may be labels that were left behind ('0': there are none).
 */
export const REMOVE_ENTRIES = script(
  SUBJECT,
  ENTRIES,
  EXPIRY,
  `
if set_type == 'none' and redis.call('TYPE', labels).ok ~= 'hash' then return {1, 0, 0, 0, '0'} end
local dropped, looked_at = expired_entries(set)
-- Where all of them are strangers, there is nothing that another call could drop.
local is_full = looked_at == ${MEMBERS_PER_CALL} and #dropped > 0
local going, removed = {}, 0
for i = 4, #ARGV do
  local score = redis.call('ZSCORE', set, ARGV[i])
  if score and tonumber(score) > horizon and not going[ARGV[i]] then
    dropped[#dropped + 1] = ARGV[i]
    going[ARGV[i]] = true
    removed = removed + 1
  end
end
local rest = finish(set, labels, dropped, last_exp(set, going), ARGV[3])
return {1, removed, 1, is_full and 1 or 0, rest}
`,
);

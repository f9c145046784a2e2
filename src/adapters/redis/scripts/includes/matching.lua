-- See EntryFilter. ARGV: horizon, tolerance, whether a jti or families are given (JTI, FAMILIES, or 0), that jti or
-- those families without a separator, key id in base 36 ('': any), issuedBefore ('': any), whether only families match (1 or 0), the jti or
-- family that does not match ('': none).
-- Members are read without scores, which would cost the server half as much again.
local jti, wanted_families = ARGV[3] == JTI and ARGV[4], ARGV[3] == FAMILIES and {} or nil
local wanted_key, issued_before = ARGV[5] ~= '' and ARGV[5] or nil, tonumber(ARGV[6])
local except = ARGV[8] ~= '' and ARGV[8] or nil
local largest_iat, by_key = -1, {}
for i = 1, wanted_families and #ARGV[4] or 0, FAMILY_CHARACTERS do
  wanted_families[string.sub(ARGV[4], i, i + FAMILY_CHARACTERS - 1)] = true
end

local function family_of(text)
  return string.find(text, '^%.%d+$', FAMILY_CHARACTERS + 1) and string.sub(text, 1, FAMILY_CHARACTERS)
end

local function is_named_by(text, name)
  return text == name or family_of(text) == name
end

local function sift(meta, members)
  local going, count, legacy = {}, 0, read_legacy_entries(meta, members)
  for i = 1, #members do
    local member = members[i]
    local key, iat_text, jti_from = string.match(member, '^([0-9a-z]+)%.([0-9a-z]+)%.()')
    local iat = key and base36(iat_text)
    local entry = legacy[member]
    if entry then key, iat, jti_from = entry.key, entry.iat, 1 end
    if iat and key_ids[key]
      and (wanted_key == nil or key == wanted_key)
      and (issued_before == nil or iat <= issued_before)
      and (not jti or string.sub(member, jti_from) == jti)
      and (not wanted_families or wanted_families[family_of(string.sub(member, jti_from))])
      and not (except and is_named_by(string.sub(member, jti_from), except)) then
      count = count + 1
      going[count] = member
      by_key[key] = (by_key[key] or 0) + 1
      if iat > largest_iat then largest_iat = iat end
    end
  end
  return going, count
end

-- Also removes expired entries, and returns how many.
local function remove(set, meta, going, live_count)
  local gone, count = {}, #going
  for _, member in ipairs(going) do gone[member] = true end
  local expired = expired_entries(set)
  for _, member in ipairs(expired) do going[#going + 1] = member end
  finish(set, meta, going, count ~= live_count and last_exp(set, gone) or nil)
  return #expired
end

-- Returns how many families were removed. A hash that another program made stays.
local function remove_families(families)
  if jti or redis.call('TYPE', families).ok ~= 'hash' then return 0 end
  if wanted_families then
    local count = 0
    for name in pairs(wanted_families) do count = count + redis.call('HDEL', families, name) end
    return count
  end
  if not wanted_key and not issued_before and not except then
    local count = redis.call('HLEN', families)
    redis.call('UNLINK', families)
    return count
  end
  local going, cursor = {}, '0'
  repeat
    local portion = redis.call('HSCAN', families, cursor, 'COUNT', MEMBERS_PER_CALL)
    cursor = portion[1]
    for i = 1, #portion[2], 2 do
      local family = parse_family(portion[2][i + 1])
      if family and portion[2][i] ~= except and (not wanted_key or family.key == wanted_key)
        -- A key ends what it signed, and a time alone ends what began by then.
        and (not issued_before or (wanted_key and family.iat or family.start) <= issued_before) then
        going[#going + 1] = portion[2][i]
      end
    end
  until cursor == '0'
  call_in_portions('HDEL', families, going)
  return #going
end

local function add_counts(answer)
  answer[#answer + 1] = largest_iat
  for key, count in pairs(by_key) do
    answer[#answer + 1] = key_ids[key]
    answer[#answer + 1] = count
  end
  return answer
end

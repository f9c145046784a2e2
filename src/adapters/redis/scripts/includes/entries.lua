-- See parseEntry in keyspace.ts. ARGV[1] is the horizon (now - tolerance), ARGV[2] the tolerance.
local TOO_LARGE = 2 ^ 53 -- From here on a double is not an exact integer.
local tolerance, time = tonumber(ARGV[2]), redis.call('TIME')
-- A host whose clock is ahead must not drop entries that are still valid.
local horizon = math.min(tonumber(ARGV[1]), tonumber(time[1]) - tolerance)

-- Returns nil for anything that base36 in keyspace.ts does not write.
local function base36(text)
  if #text > 10 or (#text > 1 and string.byte(text) == 48) then return nil end
  return tonumber(text, 36)
end

local key_ids = setmetatable({}, { __index = function(known, text)
  known[text] = base36(text) or false
  return known[text]
end })

-- A legacy token's member is its id. The meta hash holds the key and the iat: see formatLegacyEntry in keyspace.ts.
local function is_legacy(member)
  return #member == 50 and string.find(member, '^legacy%.[%w_-]+$') ~= nil
end

-- Returns the key and the iat of each of these members that is legacy and has them.
local function read_legacy_entries(meta, members)
  local ids, legacy = {}, {}
  for i = 1, #members do
    if is_legacy(members[i]) then ids[#ids + 1] = members[i] end
  end
  if #ids == 0 or redis.call('TYPE', meta).ok ~= 'hash' then return legacy end
  for from = 1, #ids, 1000 do
    local values = redis.call('HMGET', meta, unpack(ids, from, math.min(from + 999, #ids)))
    for i = 1, #values do
      local key, iat_text = string.match(values[i] or '', '^([0-9a-z]+)%.([0-9a-z]+)$')
      local iat = key and key_ids[key] and base36(iat_text)
      if iat then legacy[ids[from + i - 1]] = { key = key, iat = iat } end
    end
  end
  return legacy
end

-- Returns the iat (0 for a legacy token) and where the jti begins; nil for a member that is not an entry.
local function parse(member, exp)
  if exp <= 0 or exp >= TOO_LARGE or exp % 1 ~= 0 then return nil end
  local key, iat_text, jti_from = string.match(member, '^([0-9a-z]+)%.([0-9a-z]+)%.()')
  local iat = key and key_ids[key] and base36(iat_text)
  if not iat and is_legacy(member) then return 0, 1 end
  return iat, jti_from
end

-- Returns the member that says when this entry was last seen: see seenMember in keyspace.ts.
local function seen_member(member)
  local _, jti_from = parse(member, 1)
  return SEEN_PREFIX .. string.sub(member, jti_from or 1)
end

-- What a member and its score mean: see parseEntry in keyspace.ts.
local TOO_LARGE = 2 ^ 53 -- From here on a double is not an exact integer.
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
  if exp <= 0 or exp >= TOO_LARGE or exp % 1 ~= 0 then return nil end
  local key, iat_text, jti_from = string.match(member, '^([0-9a-z]+)%.([0-9a-z]+)%.()')
  local iat = key and key_ids[key] and base36(iat_text)
  return iat, jti_from
end

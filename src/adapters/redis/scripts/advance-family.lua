-- Adds an entry, and makes it the last one of its family. See FamilyOutcome for the outcomes.
-- KEYS: set, meta, hash of families. ARGV: horizon, tolerance, deadline (ms, server's clock), arguments of the
-- entry as for register, family, counter, grace (ms), exp of the refresh token, record: see familyRecord in
-- keyspace.ts; how many families to keep if there are more than the number after it. Returns {TOO_LATE, server's
-- time in ms}; {WRONG_TYPE, key}; or 1, the outcome, and for ADVANCED whether evicting others is done (1 or 0), for
-- REPLAYED the iat of the entry.

local function keep_newest(families, own, most)
  local all, others, going = redis.call('HGETALL', families), {}, {}
  for i = 1, #all, 2 do
    local family = all[i] ~= own and parse_family(all[i + 1])
    if family and family.exp > horizon then
      others[#others + 1] = { name = all[i], iat = family.iat }
    elseif all[i] ~= own then
      going[#going + 1] = all[i]
    end
  end
  table.sort(others, function(a, b)
    if a.iat ~= b.iat then return a.iat < b.iat end
    return is_before(a.name, b.name)
  end)
  for i = 1, #others + 1 - most do going[#going + 1] = others[i].name end
  call_in_portions('HDEL', families, going)
end

local families, own = KEYS[3], 4 + ENTRY_ARGUMENTS
local name, counter, grace_ms, family_exp, record = ARGV[own], tonumber(ARGV[own + 1]), tonumber(ARGV[own + 2]), tonumber(ARGV[own + 3]), ARGV[own + 4]
local most, above = tonumber(ARGV[own + 5]), tonumber(ARGV[own + 6])
local families_type = redis.call('TYPE', families).ok
if families_type ~= 'hash' and families_type ~= 'none' then return {WRONG_TYPE, families} end

local known = parse_family(redis.call('HGET', families, name))
if known and known.exp <= horizon then known = nil end
if not known and counter > 0 then return {1, UNKNOWN} end
-- A lower counter lacks steps that a failover lost: only jwtctl can have made the token for this step.
if known and known.counter >= counter then
  -- The time is 0 until the tokens of the step are returned: see start-grace.
  local is_over = known.refreshed_ms > 0 and math.abs(time_ms - known.refreshed_ms) > grace_ms
  if known.counter > counter or is_over then return {1, REUSED} end
  return {1, REPLAYED, known.iat}
end

local added = add_entry(4)
if added == REFUSED then return {1, LIMITED} end
local stored = ARGV[7] == '' and '' or ' ' .. ARGV[7]
local refreshed_ms = counter == 0 and time_ms or 0
redis.call('HSET', families, name, record .. '.' .. string.format('%.0f', refreshed_ms) .. stored)
local expires_at = math.max(family_exp + tolerance, redis.call('EXPIRETIME', families))
redis.call('EXPIREAT', families, string.format('%.0f', expires_at))
-- Families expire one by one, so each call drops some that have. A call that read all would take too long.
local sampled, expired = redis.call('HRANDFIELD', families, SAMPLED_FAMILIES, 'WITHVALUES'), {}
for i = 1, #sampled, 2 do
  local other = parse_family(sampled[i + 1])
  if not other or other.exp <= horizon then expired[#expired + 1] = sampled[i] end
end
if #expired > 0 then redis.call('HDEL', families, unpack(expired)) end
if counter == 0 and redis.call('HLEN', families) > above then keep_newest(families, name, most) end
complete()
return {1, ADVANCED, added == DONE and 1 or 0}

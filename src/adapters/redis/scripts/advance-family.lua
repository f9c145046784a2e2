-- Adds an entry, and makes it the last one of its family. See FamilyOutcome for the outcomes.
-- KEYS: set, meta, hash of families. ARGV: the arguments of register for one entry, family, counter, grace (ms), exp of the refresh token, record: see familyRecord in
-- keyspace.ts; how many families to keep if there are more than the number after it. Returns {TOO_LATE, server's
-- time in ms}; {WRONG_TYPE, key}; or 1, the outcome, and for ADVANCED whether evicting others is done (1 or 0), for
-- REPLAYED the iat of the entry.

-- Returns the other families that go: some that have expired, or all of those and the oldest beyond the limit.
-- Families expire one by one, so each call drops some that have. A call that read all would take too long.
local function outdated(families, own, is_full, most)
  local others, going, seen, cursor = {}, {}, {}, '0'
  repeat
    local found = is_full and redis.call('HSCAN', families, cursor, 'COUNT', MEMBERS_PER_CALL)
      or {'0', redis.call('HRANDFIELD', families, SAMPLED_FAMILIES, 'WITHVALUES')}
    cursor = found[1]
    for i = 1, #found[2], 2 do
      local name, family = found[2][i], parse_family(found[2][i + 1])
      if name ~= own and not seen[name] then
        seen[name] = true
        if family and family.exp > horizon then
          others[#others + 1] = { name = name, iat = family.iat }
        else
          going[#going + 1] = name
        end
      end
    end
  until cursor == '0'
  if not is_full then return going end
  table.sort(others, function(a, b)
    if a.iat ~= b.iat then return a.iat < b.iat end
    return is_before(a.name, b.name)
  end)
  for i = 1, #others + 1 - most do going[#going + 1] = others[i].name end
  return going
end

local families, own = KEYS[3], FIRST_ENTRY + ENTRY_ARGUMENTS
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

-- Read before the first write, because a script that fails halfway leaves what it wrote.
local is_full = counter == 0 and redis.call('HLEN', families) >= above
local going = outdated(families, name, is_full, most)
local added = add_entry(FIRST_ENTRY)
if added == REFUSED then return {1, LIMITED} end
local meta_text = ARGV[FIRST_ENTRY + 3]
local stored = meta_text == '' and '' or ' ' .. meta_text
redis.call('HSET', families, name, record .. '.0' .. stored)
local expires_at = math.max(family_exp + tolerance, redis.call('EXPIRETIME', families))
redis.call('EXPIREAT', families, string.format('%.0f', expires_at))
call_in_portions('HDEL', families, going)
complete()
return {1, ADVANCED, added == DONE and 1 or 0}

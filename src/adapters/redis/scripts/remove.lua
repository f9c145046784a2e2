-- Removes the matching entries and families of several subjects of one slot. Leaves large sets to
-- remove-portion.
-- KEYS: set, meta, and families of each subject. ARGV: see matching. Returns how many members were read;
-- how many sets are left, and their indexes from 0; how many families matched; how many entries matched, and in
-- how many subjects; the largest iat (-1: none); id and count of each key.
local seen, matched, subjects, families, large = 0, 0, 0, 0, {}
for i = 1, #KEYS, 3 do
  local set, meta = KEYS[i], KEYS[i + 1]
  families = families + remove_families(KEYS[i + 2])
  local live = seen >= MEMBERS_PER_CALL and {} or redis.pcall('ZRANGEBYSCORE', set, '(' .. horizon, string.format('(%.0f', TOO_LARGE), 'LIMIT', 0, MEMBERS_PER_CALL + 1)
  if live.err then
    if not string.find(live.err, 'WRONGTYPE', 1, true) then return live end
  elseif ARGV[7] == '1' then
    seen = seen + 1
  elseif seen >= MEMBERS_PER_CALL or #live > MEMBERS_PER_CALL then
    large[#large + 1] = (i - 1) / 3
  else
    local going, count = sift(meta, live)
    seen = seen + #live
    if count > 0 then
      matched = matched + count
      subjects = subjects + 1
    end
    -- A global removal visits every subject, and must not write to those without matches.
    if count > 0 or #live == 0 then seen = seen + remove(set, meta, going, #live) end
  end
end
local answer = {seen, #large}
for _, index in ipairs(large) do answer[#answer + 1] = index end
answer[#answer + 1] = families
answer[#answer + 1] = matched
answer[#answer + 1] = subjects
return add_counts(answer)

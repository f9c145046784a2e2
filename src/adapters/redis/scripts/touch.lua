-- Records when entries of one subject were last seen, unless they are gone. Moves that time back only if it is the one
-- to replace, and a clock that was ahead wrote it.
-- KEYS: set, meta. ARGV: horizon, tolerance; for each entry: member, score of its seen member, the score to replace.
-- Returns 1.
local earliest = -(time[1] + tolerance)
for i = 3, #ARGV, 3 do
  local exp, seen = redis.call('ZSCORE', set, ARGV[i]), seen_member(ARGV[i])
  if exp and tonumber(exp) > horizon then
    local known = redis.call('ZSCORE', set, seen)
    local replaces = known and known == ARGV[i + 2] and tonumber(known) < earliest
    if replaces then redis.call('ZADD', set, ARGV[i + 1], seen) else redis.call('ZADD', set, 'LT', ARGV[i + 1], seen) end
  end
end
return {1}

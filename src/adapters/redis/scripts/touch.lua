-- Records when entries of one subject were last seen, unless they are gone. Never moves that time back.
-- KEYS: set, meta. ARGV: horizon, tolerance; for each entry: member, score of its seen member. Returns 1.
for i = 3, #ARGV, 2 do
  local exp = redis.call('ZSCORE', set, ARGV[i])
  if exp and tonumber(exp) > horizon then redis.call('ZADD', set, 'LT', ARGV[i + 1], seen_member(ARGV[i])) end
end
return {1}

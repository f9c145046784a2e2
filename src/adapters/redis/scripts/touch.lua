-- Records when an entry was last seen, unless it is gone. Never moves that time back.
-- KEYS: set, meta. ARGV: horizon, tolerance, member, score of its seen member. Returns 1.
local exp = redis.call('ZSCORE', set, ARGV[3])
if exp and tonumber(exp) > horizon then redis.call('ZADD', set, 'LT', ARGV[4], seen_member(ARGV[3])) end
return {1}

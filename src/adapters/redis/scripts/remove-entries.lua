-- Removes these entries and up to a thousand expired ones.
-- KEYS: set, meta. ARGV: horizon, tolerance, up to a thousand members. Returns 1, how many of them were
-- live, and whether there may be more expired members (1 or 0).
if set_type == 'none' then return {1, 0, 0} end
local dropped, read = expired_entries(set)
local is_full = read == MEMBERS_PER_CALL and #dropped > 0
local going, removed = {}, 0
for i = 3, #ARGV do
  local score = redis.call('ZSCORE', set, ARGV[i])
  if score and tonumber(score) > horizon and not going[ARGV[i]] then
    dropped[#dropped + 1] = ARGV[i]
    going[ARGV[i]] = true
    removed = removed + 1
  end
end
finish(set, meta, dropped, last_exp(set, going))
return {1, removed, is_full and 1 or 0}

-- Removes the matching entries from a part of one large subject: see page. Entries go in the order of their exp. The last
-- part sets the new expiry of the keys, or removes them.
--
-- KEYS: set, labels. ARGV: as for remove, then cursor, and whether an earlier part removed anything (1 or 0). Returns 1, how
-- many entries matched, the largest iat, key id and count of each key, and the next cursor.
local found, cursor = page(set, ARGV[7])
local live = {}
for i = 1, #found, 2 do
  local exp = tonumber(found[i + 1])
  if exp > horizon and exp < TOO_LARGE then live[#live + 1] = found[i] end
end
local going, matched = sift(live)
if cursor ~= '' then
  drop(set, labels, going)
elseif matched > 0 or ARGV[8] == '1' or last_exp(set) == nil then
  remove(set, labels, going)
end
local answer = add_counts({1, matched})
answer[#answer + 1] = cursor
return answer

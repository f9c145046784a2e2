-- Removes the matching entries from one part of a large set: see `page`. The last part sets the new expiry.
-- KEYS: set, meta. ARGV: see matching, then cursor, and whether an earlier part removed anything (1 or 0).
-- Returns 1, how many entries matched, the largest iat, id and count of each key, and the next cursor.
local found, cursor = page(set, ARGV[9])
local live = {}
for i = 1, #found, 2 do
  local exp = tonumber(found[i + 1])
  if exp > horizon and exp < TOO_LARGE then live[#live + 1] = found[i] end
end
local going, matched = sift(meta, live)
if cursor ~= '' then
  drop(set, meta, going)
elseif matched > 0 or ARGV[10] == '1' or last_exp(set) == nil then
  remove(set, meta, going)
end
local answer = add_counts({1, matched})
answer[#answer + 1] = cursor
return answer

-- Members are read without scores, which would cost the server half as much again.
local jti = ARGV[3] == '1' and ARGV[4] or nil
local wanted_key, issued_before = ARGV[5] ~= '' and ARGV[5] or nil, tonumber(ARGV[6])
local largest_iat, by_key = -1, {}

local function sift(labels, members)
  local going, count, facts = {}, 0, read_facts(labels, members)
  for i = 1, #members do
    local member = members[i]
    local key, iat_text, jti_from = string.match(member, '^([0-9a-z]+)%.([0-9a-z]+)%.()')
    local iat = key and base36(iat_text)
    local fact = facts[member]
    if fact then key, iat, jti_from = fact.key, fact.iat, 1 end
    if iat and key_ids[key]
      and (wanted_key == nil or key == wanted_key)
      and (issued_before == nil or iat <= issued_before)
      and (jti == nil or string.sub(member, jti_from) == jti) then
      count = count + 1
      going[count] = member
      by_key[key] = (by_key[key] or 0) + 1
      if iat > largest_iat then largest_iat = iat end
    end
  end
  return going, count
end

-- Also removes expired entries, and returns how many.
local function remove(set, labels, going, live_count)
  local gone, count = {}, #going
  for _, member in ipairs(going) do gone[member] = true end
  local expired = expired_entries(set)
  for _, member in ipairs(expired) do going[#going + 1] = member end
  finish(set, labels, going, count ~= live_count and last_exp(set, gone) or nil)
  return #expired
end

local function add_counts(answer)
  answer[#answer + 1] = largest_iat
  for key, count in pairs(by_key) do
    answer[#answer + 1] = key_ids[key]
    answer[#answer + 1] = count
  end
  return answer
end

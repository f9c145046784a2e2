-- Reads a sorted set in parts: a member that stays is in exactly one of them. Needs order.lua.

-- Returns how many members come before a position or hold it. Its member may be gone.
local function rank_behind(set, score, member)
  local low, high = redis.call('ZCOUNT', set, '-inf', '(' .. score), redis.call('ZCOUNT', set, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(member, redis.call('ZRANGE', set, middle, middle)[1]) then high = middle else low = middle + 1 end
  end
  return low
end

-- Returns members and scores after a cursor, and the next cursor: score and hex member, or '' at an end.
local function page(set, cursor)
  local from = 0
  if cursor ~= '' then
    local score, hex = string.match(cursor, '^(%S+) (%x*)$')
    from = rank_behind(set, score, (string.gsub(hex, '..', function(byte) return string.char(tonumber(byte, 16)) end)))
  end
  local found = redis.call('ZRANGE', set, from, from + MEMBERS_PER_CALL, 'WITHSCORES')
  if #found <= 2 * MEMBERS_PER_CALL then return found, '' end
  table.remove(found)
  table.remove(found)
  local hex = string.gsub(found[#found - 1], '.', function(byte) return string.format('%02x', string.byte(byte)) end)
  return found, found[#found] .. ' ' .. hex
end

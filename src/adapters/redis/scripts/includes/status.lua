-- Returns the higher version that is kept, or 0. An invalid version does not count.
local function cache_status(score, version, replaces)
  local known = -tonumber(redis.call('ZSCORE', set, VERSION_MEMBER) or 0)
  if known < 0 or known >= TOO_LARGE or known % 1 ~= 0 then known = 0 end
  if known > tonumber(version) and known ~= tonumber(replaces) then return known end
  redis.call('ZADD', set, score, STATUS_MEMBER, '-' .. version, VERSION_MEMBER)
  return 0
end

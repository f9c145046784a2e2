-- See familyRecord in keyspace.ts. Returns nil for anything that jwtctl does not write.
local function parse_family(record)
  local counter, key, iat, start, exp, refreshed_ms = string.match(record or '',
    '^([0-9a-z]+)%.([0-9a-z]+)%.([0-9a-z]+)%.([0-9a-z]+)%.([0-9a-z]+)%.(%d+)')
  if not counter then return nil end
  local family = {
    counter = base36(counter), key = key, iat = base36(iat), start = base36(start), exp = base36(exp),
    refreshed_ms = tonumber(refreshed_ms),
  }
  if family.counter and family.iat and family.start and family.exp then return family end
  return nil
end

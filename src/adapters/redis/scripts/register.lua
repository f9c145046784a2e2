-- Adds entries of one subject in order. For each, evicts the oldest others beyond its maximum. Stops after
-- reading a thousand members; the caller then continues with the first entry that is not done.
-- ARGV: horizon, tolerance, deadline (ms, server's clock); for each entry: member, exp, maximum (0: none),
-- meta ('': none; of a legacy token, its key and iat), status score ('': none), version. Returns {TOO_LATE,
-- server's time in ms}; {WRONG_TYPE, key}; or 1, how many entries are done.

-- Checked first, because stopping after a write would leave the set without an expiry.
for i = 4, #ARGV, 6 do
  if is_legacy(ARGV[i]) and not takes(ARGV[i + 3]) then return {WRONG_TYPE, meta} end
end
local done = 0
for i = 4, #ARGV, 6 do
  if not add_entry(i) then break end
  done = done + 1
end
complete()
return {1, done}

-- Adds entries of one subject in order. For each, evicts the oldest others beyond its maximum, or refuses it. Stops
-- after reading a thousand members; the caller then continues with the first entry that is not done.
-- ARGV: horizon, tolerance, deadline (ms, server's clock), score of the seen members ('': none), idle timeout ('':
-- none); for each entry: member, exp, maximum (0: none; negative: refuse the entry beyond it), meta ('': none; of a
-- legacy token, its key and iat), status score ('': none), version. Returns {TOO_LATE, server's time in ms}; {WRONG_TYPE, key}; or 1, how
-- many entries are done, and for each that was read ADDED, KNOWN, or REFUSED. The last of these may belong to an entry
-- that is not done: the caller adds it again.

-- Checked first, because stopping after a write would leave the set without an expiry.
for i = FIRST_ENTRY, #ARGV, ENTRY_ARGUMENTS do
  if is_legacy(ARGV[i]) and not takes(ARGV[i + 3]) then return {WRONG_TYPE, meta} end
end
local done, read = 0, {}
for i = FIRST_ENTRY, #ARGV, ENTRY_ARGUMENTS do
  local outcome, is_new = add_entry(i)
  if outcome == REFUSED then
    read[#read + 1] = REFUSED
  elseif is_new ~= nil then
    read[#read + 1] = is_new and ADDED or KNOWN
  end
  if outcome == AGAIN then break end
  done = done + 1
end
complete()
return {1, done, unpack(read)}

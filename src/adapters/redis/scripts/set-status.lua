-- Caches the user's status if the subject has entries and no higher version is cached, except the one to replace.
--
-- ARGV: horizon, tolerance, status score, version, the version to replace ('': none). Returns 1; whether labels may be left
-- without an entry (1 or 0), for remove-entries; and the higher version that is kept ('0': none).
if last_exp(set) == nil then
  return {1, finish(set, labels, (expired_entries(set)), nil) ~= '0' and 1 or 0, '0'}
end
return {1, 0, string.format('%.0f', cache_status(ARGV[3], ARGV[4], ARGV[5]))}

-- Caches the user's status if the subject has entries and no higher version is cached, except the one to
-- replace.
-- ARGV: horizon, tolerance, status score, version, the version to replace ('': none). Returns 1, and the
-- higher version that is kept ('0': none).
if last_exp(set) == nil then return {1, '0'} end
return {1, string.format('%.0f', cache_status(ARGV[3], ARGV[4], ARGV[5]))}

-- Reads a part of a set, in the order of scores and members, from where the last part ended. Members that come and go
-- meanwhile move nothing: the position is found anew by score and member, even if that member is gone.
--
-- KEYS: the set. ARGV: cursor. Returns the next cursor ('': there is no more), then members and scores.
local found, cursor = page(KEYS[1], ARGV[1])
table.insert(found, 1, cursor)
return found

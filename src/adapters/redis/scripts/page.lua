-- Reads a part of a set, ordered by score and member, from where the last part ended. Members may come and go
-- meanwhile.
-- KEYS: set. ARGV: cursor. Returns the next cursor ('': no more), then members and scores.
local found, cursor = page(KEYS[1], ARGV[1])
table.insert(found, 1, cursor)
return found

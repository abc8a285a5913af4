-- Store a range tombstone, unless one of its kind and scope is as high. It applies to every register written from now
-- on.
--
-- KEYS: the marker, the range tombstones.
-- ARGV: the marker's text, the tombstone's field and its deletions.
-- Returns 1, or nil if no database has the generation.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

local function place(fence) return sub(fence, 2, 41) end

local known = redis.call('HGET', KEYS[2], ARGV[2])
if not known or precedes(place(known), place(ARGV[3])) then redis.call('HSET', KEYS[2], ARGV[2], ARGV[3]) end
return 1

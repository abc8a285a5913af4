-- Keep a fence, unless one of its kind and scope stands as high. Every register written from now on meets it.
--
-- KEYS: the marker, the fences.
-- ARGV: the marker's text, the fence's field and its deletions.
-- Answers 1, or nil where no database holds the generation.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

local function place(fence) return sub(fence, 2, 41) end

local known = redis.call('HGET', KEYS[2], ARGV[2])
if not known or precedes(place(known), place(ARGV[3])) then redis.call('HSET', KEYS[2], ARGV[2], ARGV[3]) end
return 1

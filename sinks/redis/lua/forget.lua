-- Remove one key of a generation, which may be its marker.
--
-- KEYS: the marker, the key.
-- ARGV: the marker's text.
-- Returns 1, or nil if no database has the generation.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

redis.call('UNLINK', KEYS[2])
return 1

-- Replace the metadata of a generation.
--
-- KEYS: the marker, the metadata.
-- ARGV: the marker's text, the metadata.
-- Returns 1, or nil if no database has the generation.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

redis.call('SET', KEYS[2], ARGV[2])
return 1

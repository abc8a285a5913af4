-- Replace the record of a generation.
--
-- KEYS: the marker, the record.
-- ARGV: the marker's text, the record.
-- Answers 1, or nil where no database holds the generation.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

redis.call('SET', KEYS[2], ARGV[2])
return 1

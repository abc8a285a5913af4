-- KEYS: the marker.
-- ARGV: the marker's text, how many keys to look at.
-- Answers about how many bytes the database of the generation takes, by some of its keys; nil where no database holds it.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

local bytes = 0
for _ = 1, ARGV[2] do bytes = bytes + (redis.call('MEMORY', 'USAGE', redis.call('RANDOMKEY')) or 0) end
return math.floor(bytes / ARGV[2] * redis.call('DBSIZE'))

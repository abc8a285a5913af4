-- KEYS: the marker.
-- ARGV: the marker's text, the number of keys to sample.
-- Returns the estimated size in bytes of the generation's database; nil if no database has the generation.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

local bytes = 0
for _ = 1, ARGV[2] do bytes = bytes + (redis.call('MEMORY', 'USAGE', redis.call('RANDOMKEY')) or 0) end
return math.floor(bytes / ARGV[2] * redis.call('DBSIZE'))

-- Remove one page of a generation's keys.
--
-- KEYS: the marker, the range tombstones.
-- ARGV: the marker's text, the page's cursor, the pattern of the keys.
-- Returns the cursor of the next page, "0" after the last, or nil if no database has the generation.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

local page = redis.call('SCAN', ARGV[2], 'MATCH', ARGV[3], 'COUNT', 500)
if #page[2] > 0 then redis.call('UNLINK', unpack(page[2])) end
return page[1]

-- KEYS: the marker, the metadata.
-- Returns the marker and the metadata of every generation, in the order of databases; '' twice for a database without a
-- generation, and once for a generation without metadata.

local found = {}
first_of_databases(KEYS[1], function(_, marker)
  found[#found + 1] = marker or ''
  found[#found + 1] = marker and redis.call('GET', KEYS[2]) or ''
end)
return found

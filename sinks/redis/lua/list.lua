-- KEYS: the marker, the record.
-- Answers, in the order of databases, the marker and the record of every generation; '' twice for a database that holds
-- none, and once where a generation has no record.

local found = {}
first_of_databases(KEYS[1], function(_, marker)
  found[#found + 1] = marker or ''
  found[#found + 1] = marker and redis.call('GET', KEYS[2]) or ''
end)
return found

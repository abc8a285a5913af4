-- Make a generation live: its database and database 0 are swapped, with all their keys. If the previous live generation
-- has lost its marker, it can no longer be found, and is removed.
--
-- KEYS: the marker, the metadata.
-- ARGV: the marker's text.
-- Returns 1, or nil if no database has the generation.

return first_of_databases(KEYS[1], function(database, marker)
  if marker ~= ARGV[1] then return nil end
  if database == 0 then return 1 end
  redis.call('SWAPDB', 0, database)
  enter(database)
  if redis.call('EXISTS', KEYS[1]) == 0 and redis.call('EXISTS', KEYS[2]) == 1 then redis.call('FLUSHDB', 'ASYNC') end
  return 1
end)

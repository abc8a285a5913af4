-- Show a generation: its database and database 0 change places, with all that they hold. If what readers saw has lost its
-- marker, nobody can find it any more, and it is removed.
--
-- KEYS: the marker, the record.
-- ARGV: the marker's text.
-- Answers 1, or nil where no database holds the generation.

return first_of_databases(KEYS[1], function(database, marker)
  if marker ~= ARGV[1] then return nil end
  if database == 0 then return 1 end
  redis.call('SWAPDB', 0, database)
  enter(database)
  if redis.call('EXISTS', KEYS[1]) == 0 and redis.call('EXISTS', KEYS[2]) == 1 then redis.call('FLUSHDB', 'ASYNC') end
  return 1
end)

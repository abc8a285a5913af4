-- Empty the database of a generation that readers do not see.
--
-- KEYS: the marker.
-- ARGV: the marker's text.
-- Answers 1, or nil where no database but 0 holds the generation.

return first_of_databases(KEYS[1], function(database, marker)
  if database == 0 or marker ~= ARGV[1] then return nil end
  redis.call('FLUSHDB', 'ASYNC')
  return 1
end)

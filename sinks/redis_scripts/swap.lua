-- Show a generation: its database and database 0 change places, with all that they hold.
--
-- KEYS: the marker.
-- ARGV: the marker's text.
-- Answers 1, or nil where no database holds the generation.

return first_of_databases(KEYS[1], function(database, marker)
  if marker ~= ARGV[1] then return nil end
  if database ~= 0 then redis.call('SWAPDB', 0, database) end
  return 1
end)

-- Delete all keys in the database of a generation that is not live.
--
-- KEYS: the marker.
-- ARGV: the marker's text.
-- Returns 1, or nil if no database except 0 has the generation.

return first_of_databases(KEYS[1], function(database, marker)
  if database == 0 or marker ~= ARGV[1] then return nil end
  redis.call('FLUSHDB', 'ASYNC')
  return 1
end)

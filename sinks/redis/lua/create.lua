-- Create a generation. The first one is in database 0, which readers use; later ones are in an empty database. A
-- generation whose marker is lost still has its metadata, and stays in database 0 until another one is shown.
--
-- KEYS: the marker, the metadata.
-- ARGV: the generation, and the marker's text and the metadata if it is created now.
-- Returns 'there', or the reason for a failure: 'occupied' if database 0 has keys of another program, 'full' if no
-- database is empty.

if first_of_databases(KEYS[1], function(_, marker) return is_of(ARGV[1], marker) end) then return 'there' end

return first_of_databases(KEYS[1], function(database, marker)
  if marker then return nil end
  if redis.call('DBSIZE') == 0 then
    redis.call('SET', KEYS[1], ARGV[2])
    redis.call('SET', KEYS[2], ARGV[3])
    return 'there'
  end
  return database == 0 and redis.call('EXISTS', KEYS[2]) == 0 and 'occupied'
end) or 'full'

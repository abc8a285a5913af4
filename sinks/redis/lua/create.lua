-- Create a generation: the first in database 0, where readers are, the next in an empty one. A generation whose marker is
-- gone still has its record, and stays in database 0 until another one is shown.
--
-- KEYS: the marker, the record.
-- ARGV: the generation, and the marker's text and the record if it is created now.
-- Answers 'there', or why it cannot be: 'occupied' where database 0 holds keys of somebody else, 'full' where no
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

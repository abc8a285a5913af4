-- KEYS: the marker, the progress, the metadata.
-- ARGV: the generation.
-- Returns the marker's text, the fields and offsets of the progress, and the metadata or ''; nil if no database has the
-- generation.

return first_of_databases(KEYS[1], function(_, marker)
  return is_of(ARGV[1], marker) and { marker, redis.call('HGETALL', KEYS[2]), redis.call('GET', KEYS[3]) or '' }
end)

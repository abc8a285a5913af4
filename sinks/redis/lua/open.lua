-- KEYS: the marker, the progress, the record.
-- ARGV: the generation.
-- Answers its marker's text, the fields and offsets of its progress, and its record or ''; nil where no database holds it.

return first_of_databases(KEYS[1], function(_, marker)
  return is_of(ARGV[1], marker) and { marker, redis.call('HGETALL', KEYS[2]), redis.call('GET', KEYS[3]) or '' }
end)

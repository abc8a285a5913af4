-- KEYS: the marker, the progress.
-- ARGV: the generation.
-- Answers its marker's text, and the fields and offsets of its progress; nil where no database holds it.

return first_of_databases(KEYS[1], function(_, marker)
  return is_of(ARGV[1], marker) and { marker, redis.call('HGETALL', KEYS[2]) }
end)

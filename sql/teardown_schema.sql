-- What the schema holds beside the tables that `init` creates.

SELECT relname::text
FROM pg_catalog.pg_class
WHERE relnamespace = to_regnamespace('readmodels') AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  AND oid NOT IN (SELECT oid FROM pg_catalog.pg_class
                  WHERE oid IN (to_regclass('readmodels.heartbeat'), to_regclass('readmodels.signal'),
                              to_regclass('readmodels.earlier_replica_identity')))
ORDER BY relname;

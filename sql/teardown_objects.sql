-- One row per publication and table that `init` creates, and that is there, in the order in which they are dropped.

SELECT found.kind, found.name
FROM (SELECT 1 AS place, 'publication' AS kind, pubname::text AS name
      FROM pg_catalog.pg_publication
      WHERE pubname = 'readmodels'
         OR (pubname = ANY (%(publications)s) AND obj_description(oid, 'pg_publication') = %(made_by)s)
      UNION ALL
      SELECT 2, 'table', 'readmodels.' || relname
      FROM pg_catalog.pg_class
      WHERE oid IN (to_regclass('readmodels.heartbeat'), to_regclass('readmodels.signal'),
                    to_regclass('readmodels.earlier_replica_identity')) AND relkind = 'r'
      UNION ALL
      SELECT 3, 'schema', nspname::text
      FROM pg_catalog.pg_namespace WHERE nspname = 'readmodels') AS found
ORDER BY found.place, found.name;

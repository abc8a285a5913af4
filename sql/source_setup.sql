-- One row: which parts of the source's setup are already there.

SELECT (SELECT count(*) = 4 AND bool_and(nspname = 'readmodels' OR relreplident = 'f')
        FROM pg_catalog.pg_class
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        WHERE pg_class.oid IN (to_regclass('public.orders'), to_regclass('public.order_items'),
                               to_regclass('readmodels.heartbeat'), to_regclass('readmodels.signal')))
       AND EXISTS (SELECT FROM pg_catalog.pg_constraint
                   WHERE conrelid = to_regclass('readmodels.signal') AND conname = 'no_blocking_snapshot')
           AS is_schema_present,
       EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'readmodels')
           AS is_publication_present,
       coalesce((SELECT has_schema_privilege(role.oid, to_regnamespace('readmodels')::oid, 'USAGE')
                        AND has_table_privilege(role.oid, to_regclass('public.orders'), 'SELECT')
                        AND has_table_privilege(role.oid, to_regclass('public.order_items'), 'SELECT')
                        AND has_table_privilege(role.oid, to_regclass('readmodels.heartbeat'), 'SELECT')
                        AND has_table_privilege(role.oid, to_regclass('readmodels.heartbeat'), 'INSERT')
                        AND has_table_privilege(role.oid, to_regclass('readmodels.heartbeat'), 'UPDATE')
                        AND has_table_privilege(role.oid, to_regclass('readmodels.signal'), 'SELECT')
                        AND has_table_privilege(role.oid, to_regclass('readmodels.signal'), 'INSERT')
                 FROM pg_catalog.pg_roles AS role WHERE role.rolname = %(role)s), false)
           AS is_granted;

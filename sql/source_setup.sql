-- One row: what of the setup exists already, and what the role of this connection may do about the rest.

SELECT current_user::text                                                        AS user_name,
       current_database()::text                                                  AS database_name,
       (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)   AS is_superuser,
       has_database_privilege(current_database(), 'CREATE')                      AS may_create,
       to_regrole(quote_ident(%(role)s)) IS NOT NULL                             AS is_role_present,
       (SELECT count(*) = 3 FROM pg_catalog.pg_class
        WHERE oid IN (to_regclass('readmodels.heartbeat'), to_regclass('readmodels.signal'),
                      to_regclass('readmodels.earlier_replica_identity')))
       AND EXISTS (SELECT FROM pg_catalog.pg_constraint
                   WHERE conrelid = to_regclass('readmodels.signal') AND conname = 'no_blocking_snapshot')
           AS are_objects_present,
       coalesce(pg_has_role((SELECT relowner FROM pg_catalog.pg_class WHERE oid = to_regclass('readmodels.signal')),
                            'USAGE'), true)                                      AS owns_objects,
       coalesce((SELECT pg_has_role(pubowner, 'USAGE') FROM pg_catalog.pg_publication WHERE pubname = %(publication)s),
                true)                                                            AS owns_publication,
       coalesce((SELECT has_schema_privilege(role.oid, to_regnamespace('readmodels')::oid, 'USAGE')
                        AND has_table_privilege(role.oid, to_regclass('readmodels.heartbeat'), 'SELECT')
                        AND has_table_privilege(role.oid, to_regclass('readmodels.heartbeat'), 'INSERT')
                        AND has_table_privilege(role.oid, to_regclass('readmodels.heartbeat'), 'UPDATE')
                        AND has_table_privilege(role.oid, to_regclass('readmodels.signal'), 'SELECT')
                        AND has_table_privilege(role.oid, to_regclass('readmodels.signal'), 'INSERT')
                 FROM pg_catalog.pg_roles AS role WHERE role.rolname = %(role)s), false)
           AS is_role_granted,
       coalesce(has_schema_privilege(to_regnamespace('readmodels')::oid, 'USAGE')
                AND has_table_privilege(to_regclass('readmodels.signal'), 'INSERT'), false)
           AS may_signal;

-- One row per wanted role, and per role that may write the signals but does not own them: whether `init` created it,
-- and the other databases that still depend on it.

SELECT role.rolname::text                                                          AS name,
       coalesce(shobj_description(role.oid, 'pg_authid') = {made_by}, false)       AS is_made_by_init,
       coalesce((SELECT array_agg(DISTINCT datname::text)
                 FROM pg_catalog.pg_shdepend
                 JOIN pg_catalog.pg_database ON pg_database.oid = pg_shdepend.dbid
                 WHERE refclassid = 'pg_catalog.pg_authid'::regclass AND refobjid = role.oid
                   AND datname <> current_database()), '{{}}')                     AS other_databases
FROM pg_catalog.pg_roles AS role
WHERE role.rolname = {role_name}
   OR role.oid IN (SELECT granted.grantee
                   FROM pg_catalog.pg_class, LATERAL aclexplode(relacl) AS granted
                   WHERE pg_class.oid = to_regclass('readmodels.signal') AND granted.grantee <> relowner)
ORDER BY role.rolname;

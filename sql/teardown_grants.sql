-- One row per table and schema of this database on which a role has a privilege of its own, quoted for a REVOKE.

SELECT DISTINCT 'TABLE' AS kind, format('%%I.%%I', nspname, relname) AS object, nspname || '.' || relname AS name
FROM pg_catalog.pg_class
JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace,
     LATERAL (SELECT grantee FROM aclexplode(relacl)
              UNION ALL
              SELECT granted.grantee
              FROM pg_catalog.pg_attribute, LATERAL aclexplode(attacl) AS granted
              WHERE attrelid = pg_class.oid) AS privilege
WHERE privilege.grantee = to_regrole(quote_ident(%(role)s)) AND relkind IN ('r', 'p', 'v', 'm', 'f')
  AND pg_class.relowner <> privilege.grantee
UNION ALL
SELECT DISTINCT 'SCHEMA', quote_ident(nspname), nspname
FROM pg_catalog.pg_namespace, LATERAL aclexplode(nspacl) AS privilege
WHERE privilege.grantee = to_regrole(quote_ident(%(role)s)) AND nspowner <> privilege.grantee
ORDER BY kind, object;

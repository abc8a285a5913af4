-- One row per table whose replica identity `init` changed and that still has it: the clause that restores the identity.

SELECT format('%%s.%%s', schema_name, table_name)               AS table_name,
       format('ALTER TABLE %%I.%%I REPLICA IDENTITY %%s', schema_name, table_name,
              CASE identity WHEN 'd' THEN 'DEFAULT' WHEN 'n' THEN 'NOTHING'
                            ELSE format('USING INDEX %%I', index_name) END) AS statement
FROM readmodels.earlier_replica_identity
JOIN pg_catalog.pg_namespace ON nspname = schema_name
JOIN pg_catalog.pg_class ON relnamespace = pg_namespace.oid AND relname = table_name AND relreplident = 'f'
ORDER BY 1;

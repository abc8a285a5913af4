-- One row per table whose name matches one of the patterns: its columns, its key, and the keys that it refers to.

WITH found AS (
    SELECT DISTINCT class.oid, nspname::text AS schema_name, relname::text AS table_name, class.relkind, class.relpersistence,
           class.relispartition
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace ON pg_namespace.oid = class.relnamespace
    JOIN unnest(%(schemas)s::text[], %(tables)s::text[]) AS wanted (schema_pattern, table_pattern)
      ON nspname LIKE schema_pattern AND relname LIKE table_pattern
    WHERE class.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND nspname <> 'readmodels' AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%%'
)
SELECT schema_name, table_name, relkind::text AS kind, relpersistence::text AS persistence,
       relispartition AS is_partition,
       EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = found.oid) AS has_children,
       coalesce((
           SELECT json_agg(json_build_object(
                      'name', attname,
                      'type', format_type(base.oid, base.typmod),
                      'declared_type', format_type(atttypid, atttypmod),
                      'is_enum', base.typtype = 'e',
                      'is_own_type', base.typnamespace <> 'pg_catalog'::regnamespace AND base.typtype <> 'e'
                                     AND base.typname <> ALL ('{hstore,ltree,citext}')
                                     AND NOT (base.typcategory = 'A' AND item.typtype = 'e'),
                      'is_not_null', attnotnull,
                      'generated', attgenerated,
                      'is_deterministic', coalesce(collisdeterministic, true)) ORDER BY attnum)
           FROM pg_catalog.pg_attribute
           LEFT JOIN pg_catalog.pg_collation ON pg_collation.oid = attcollation
           CROSS JOIN LATERAL (
               WITH RECURSIVE resolved AS (
                   SELECT type.oid, atttypmod AS typmod, typtype, typbasetype, typtypmod, typnamespace, typname,
                          typcategory, typelem
                   FROM pg_catalog.pg_type AS type WHERE type.oid = atttypid
                   UNION ALL
                   SELECT type.oid, resolved.typtypmod, type.typtype, type.typbasetype, type.typtypmod,
                          type.typnamespace, type.typname, type.typcategory, type.typelem
                   FROM resolved JOIN pg_catalog.pg_type AS type ON type.oid = resolved.typbasetype
                   WHERE resolved.typtype = 'd'
               )
               SELECT * FROM resolved WHERE typtype <> 'd'
           ) AS base
           LEFT JOIN pg_catalog.pg_type AS item ON item.oid = base.typelem AND base.typcategory = 'A'
           WHERE attrelid = found.oid AND attnum > 0 AND NOT attisdropped), '[]') AS columns,
       coalesce((
           SELECT json_agg(attname ORDER BY place)
           FROM pg_catalog.pg_constraint
           CROSS JOIN unnest(conkey) WITH ORDINALITY AS part (attnum, place)
           JOIN pg_catalog.pg_attribute ON attrelid = conrelid AND pg_attribute.attnum = part.attnum
           WHERE conrelid = found.oid AND contype = 'p'), '[]') AS key,
       coalesce((SELECT condeferrable FROM pg_catalog.pg_constraint WHERE conrelid = found.oid AND contype = 'p'), false)
           AS is_key_deferrable,
       (SELECT format('ALTER TABLE %%I.%%I ADD PRIMARY KEY USING INDEX %%I;', schema_name, table_name, index.relname)
        FROM pg_catalog.pg_index
        JOIN pg_catalog.pg_class AS index ON index.oid = indexrelid
        WHERE indrelid = found.oid AND indisunique AND indisvalid AND indimmediate AND indpred IS NULL
          AND indexprs IS NULL
          AND NOT EXISTS (SELECT FROM unnest(indkey) AS part (attnum)
                          JOIN pg_catalog.pg_attribute ON attrelid = indrelid AND pg_attribute.attnum = part.attnum
                          WHERE NOT attnotnull)
        ORDER BY index.relname LIMIT 1) AS key_statement,
       coalesce((
           SELECT json_agg(json_build_object(
                      'schema', target_space.nspname, 'table', target.relname, 'is_cascade', confdeltype = 'c',
                      'columns', (SELECT json_agg(attname ORDER BY place)
                                  FROM unnest(conkey) WITH ORDINALITY AS part (attnum, place)
                                  JOIN pg_catalog.pg_attribute
                                    ON attrelid = conrelid AND pg_attribute.attnum = part.attnum),
                      'target_columns', (SELECT json_agg(attname ORDER BY place)
                                         FROM unnest(confkey) WITH ORDINALITY AS part (attnum, place)
                                         JOIN pg_catalog.pg_attribute
                                           ON attrelid = confrelid AND pg_attribute.attnum = part.attnum))
                  ORDER BY conkey, conname)
           FROM pg_catalog.pg_constraint
           JOIN pg_catalog.pg_class AS target ON target.oid = confrelid
           JOIN pg_catalog.pg_namespace AS target_space ON target_space.oid = target.relnamespace
           WHERE conrelid = found.oid AND contype = 'f' AND conparentid = 0), '[]') AS foreign_keys
FROM found
ORDER BY schema_name, table_name;

-- One row per wanted column that is there: its type, without domains, and whether its collation tells all texts apart.

SELECT wanted.table_name, wanted.column_name, pg_catalog.format_type(base.oid, base.typmod) AS type_name,
       base.typtype = 'e' AS is_enum, coalesce(sorting.collisdeterministic, true) AS is_deterministic
FROM unnest(%(tables)s::text[], %(columns)s::text[]) AS wanted (table_name, column_name)
JOIN pg_catalog.pg_attribute AS attribute
  ON attribute.attrelid = to_regclass(wanted.table_name)
 AND attribute.attname = wanted.column_name AND attribute.attnum > 0 AND NOT attribute.attisdropped
CROSS JOIN LATERAL (
    WITH RECURSIVE resolved AS (
        SELECT oid, attribute.atttypmod AS typmod, typtype, typbasetype, typtypmod
        FROM pg_catalog.pg_type WHERE oid = attribute.atttypid
        UNION ALL
        SELECT type.oid, resolved.typtypmod, type.typtype, type.typbasetype, type.typtypmod
        FROM resolved JOIN pg_catalog.pg_type AS type ON type.oid = resolved.typbasetype
        WHERE resolved.typtype = 'd'
    )
    SELECT oid, typmod, typtype FROM resolved WHERE typtype <> 'd'
) AS base
LEFT JOIN pg_catalog.pg_collation AS sorting
       ON sorting.oid = attribute.attcollation;

-- One row per described column that the source has. A row that is older than its column shows the missing value.

SELECT attribute.attname::text                                            AS name,
       format_type(attribute.atttypid, attribute.atttypmod)               AS type,
       attribute.attnotnull                                               AS is_not_null,
       attribute.atthasdef                                                AS has_default,
       CASE WHEN attribute.atthasmissing THEN attribute.attmissingval::text END AS missing
FROM pg_catalog.pg_attribute AS attribute
JOIN pg_catalog.pg_class AS class ON class.oid = attribute.attrelid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s
  AND attribute.attname = ANY (%(columns)s) AND attribute.attnum > 0 AND NOT attribute.attisdropped;

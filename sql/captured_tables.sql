-- One row per wanted table: everything that decides whether its changes can be trusted.

SELECT wanted.name                                             AS table_name,
       class.oid IS NOT NULL                                   AS is_present,
       class.relkind = 'r' AND class.relpersistence = 'p'      AS is_plain,
       class.relreplident = 'f'                                AS is_identity_full,
       class.relrowsecurity                                    AS is_row_secured,
       primary_key.indexrelid IS NOT NULL                      AS is_keyed,
       coalesce(NOT primary_key.indimmediate, false)           AS is_key_deferrable,
       coalesce(columns.generated, '{}')                       AS generated_columns,
       coalesce(columns.nullable_with_default, '{}')           AS nullable_columns_with_default
FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS wanted (name, place)
LEFT JOIN pg_catalog.pg_class AS class
       ON class.oid = to_regclass(wanted.name)
LEFT JOIN pg_catalog.pg_index AS primary_key
       ON primary_key.indrelid = class.oid AND primary_key.indisprimary
LEFT JOIN LATERAL (
    SELECT array_agg(attname::text ORDER BY attnum)
               FILTER (WHERE attgenerated <> '')                    AS generated,
           array_agg(attname::text ORDER BY attnum)
               FILTER (WHERE atthasdef AND NOT attnotnull AND attgenerated = '') AS nullable_with_default
    FROM pg_catalog.pg_attribute
    WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
) AS columns ON true
ORDER BY wanted.place;

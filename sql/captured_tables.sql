-- One row per wanted table: everything that decides whether its changes and its rows can be trusted, and by what the
-- table is known: its oid, that of its key, those of the publication's entries that name it, and the
-- transaction that wrote its catalog row.

SELECT wanted.name                                             AS table_name,
       format('%%I.%%I', wanted.schema_name, wanted.relation_name) AS quoted_name,
       quote_ident(wanted.schema_name)                         AS quoted_schema,
       class.oid IS NOT NULL                                   AS is_present,
       class.relkind = 'r' AND class.relpersistence = 'p'      AS is_plain,
       class.relreplident = 'f'                                AS is_identity_full,
       coalesce(class.relreplident::text, '')                  AS replica_identity,
       (SELECT relname::text FROM pg_catalog.pg_index
        JOIN pg_catalog.pg_class AS index ON index.oid = indexrelid
        WHERE indrelid = class.oid AND indisreplident)         AS replica_identity_index,
       coalesce(pg_has_role(class.relowner, 'USAGE'), false)   AS is_owned,
       coalesce(pg_has_role(namespace.nspowner, 'USAGE'), false) AS is_schema_owned,
       coalesce(columns.names, '{}')                           AS columns,
       class.relrowsecurity AND NOT coalesce(
           role.rolsuper OR role.rolbypassrls
           OR (pg_has_role(role.oid, class.relowner, 'USAGE') AND NOT class.relforcerowsecurity), false)
                                                               AS is_row_secured,
       coalesce(has_schema_privilege(role.oid, class.relnamespace, 'USAGE'), false) AS is_schema_usable,
       coalesce(has_table_privilege(role.oid, class.oid, 'SELECT'), false)          AS is_readable,
       primary_key.oid IS NOT NULL                             AS is_keyed,
       coalesce(primary_key.condeferrable, false)              AS is_key_deferrable,
       CASE WHEN publication.generated = 's' THEN coalesce(columns.virtual, '{}')
            ELSE coalesce(columns.generated, '{}') END         AS generated_columns,
       CASE WHEN publication.generated = 'n' THEN coalesce(columns.stored, '{}')
            ELSE '{}' END                                      AS publishable_columns,
       coalesce(columns.stored, '{}')                          AS stored_columns,
       coalesce(columns.virtual, '{}')                         AS virtual_columns,
       CASE WHEN class.relreplident = 'f' AND publication.generated = 'n'
            THEN coalesce(columns.stored, '{}') ELSE '{}' END  AS unpublished_stored_columns,
       CASE WHEN class.relreplident = 'f' AND publication.generated IS NOT NULL
            THEN coalesce(columns.virtual, '{}') ELSE '{}' END AS unpublished_virtual_columns,
       coalesce(class.oid::text, '')                           AS table_identity,
       coalesce(primary_key.oid::text, '')                     AS key_identity,
       coalesce(published.entries, '{}')                       AS publication_entries,
       coalesce(class.xmin::text, '')                          AS table_version,
       coalesce(columns.defaulted, '{}')                       AS columns_with_default
FROM (SELECT name, place, split_part(name, '.', 1) AS schema_name,
             substr(name, strpos(name, '.') + 1)   AS relation_name
      FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS given (name, place)) AS wanted
LEFT JOIN pg_catalog.pg_roles AS role
       ON role.rolname = %(role)s
LEFT JOIN pg_catalog.pg_namespace AS namespace
       ON namespace.nspname = wanted.schema_name
LEFT JOIN pg_catalog.pg_class AS class
       ON class.relnamespace = namespace.oid AND class.relname = wanted.relation_name
LEFT JOIN pg_catalog.pg_constraint AS primary_key
       ON primary_key.conrelid = class.oid AND primary_key.contype = 'p'
LEFT JOIN LATERAL (
    SELECT array_agg(attname::text ORDER BY attnum)                 AS names,
           array_agg(attname::text ORDER BY attnum)
               FILTER (WHERE attgenerated <> '')                    AS generated,
           array_agg(attname::text ORDER BY attnum)
               FILTER (WHERE attgenerated = 's')                    AS stored,
           array_agg(attname::text ORDER BY attnum)
               FILTER (WHERE attgenerated = 'v')                    AS virtual,
           array_agg(attname::text ORDER BY attnum)
               FILTER (WHERE atthasdef AND attgenerated = '')       AS defaulted
    FROM pg_catalog.pg_attribute
    WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
) AS columns ON true
-- A server before PostgreSQL 18 has no such option, and publishes no generated column.
LEFT JOIN LATERAL (
    SELECT to_jsonb(pg_publication) ->> 'pubgencols' AS generated
    FROM pg_catalog.pg_publication
    WHERE pubname = %(publication)s
) AS publication ON true
LEFT JOIN LATERAL (
    SELECT array_agg(entry ORDER BY entry) AS entries
    FROM (SELECT 'table ' || member.oid
          FROM pg_catalog.pg_publication_rel AS member
          JOIN pg_catalog.pg_publication ON pg_publication.oid = prpubid
          WHERE pubname = %(publication)s AND prrelid = class.oid
          UNION ALL
          SELECT 'schema ' || member.oid
          FROM pg_catalog.pg_publication_namespace AS member
          JOIN pg_catalog.pg_publication ON pg_publication.oid = pnpubid
          WHERE pubname = %(publication)s AND pnnspid = class.relnamespace
          UNION ALL
          SELECT 'all ' || pg_publication.oid
          FROM pg_catalog.pg_publication
          WHERE pubname = %(publication)s AND puballtables) AS of_publication (entry)
) AS published ON true
ORDER BY wanted.place;

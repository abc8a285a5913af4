-- One row: what the server, the database and the publication must be for the log to be whole.

SELECT current_setting('wal_level')                                       AS wal_level,
       pg_encoding_to_char(database.encoding)                             AS encoding,
       current_setting('server_version_num')::integer / 10000             AS server_version,
       publication.oid IS NOT NULL                                        AS is_published,
       coalesce(to_jsonb(publication) ->> 'pubgencols' = 's', false)      AS are_stored_columns_published,
       coalesce(publication.pubinsert AND publication.pubupdate
                AND publication.pubdelete AND publication.pubtruncate, false) AS is_every_operation_published,
       coalesce(publication.oid::text, '')                               AS publication_identity,
       coalesce(publication.xmin::text, '')                              AS publication_version,
       coalesce(md5(to_jsonb(publication)::text), '')                    AS publication_content,
       coalesce((SELECT array_agg(schemaname || '.' || tablename)
                 FROM pg_catalog.pg_publication_tables
                 WHERE pubname = publication.pubname), '{}')              AS published_tables,
       coalesce((SELECT array_agg(nspname || '.' || relname)
                 FROM pg_catalog.pg_publication_rel
                 JOIN pg_catalog.pg_class ON pg_class.oid = prrelid
                 JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
                 WHERE prpubid = publication.oid
                   AND (prqual IS NOT NULL OR prattrs IS NOT NULL)), '{}') AS partly_published_tables
FROM pg_catalog.pg_database AS database
LEFT JOIN pg_catalog.pg_publication AS publication ON publication.pubname = %(publication)s
WHERE database.datname = current_database();

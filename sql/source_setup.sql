-- One row: which parts of the source's setup are already there.

SELECT (SELECT count(*) = 4
        FROM pg_catalog.pg_class
        WHERE oid IN (to_regclass('public.orders'), to_regclass('public.order_items'),
                      to_regclass('readmodels.heartbeat'), to_regclass('readmodels.signal')))
       AND (SELECT count(*) = 2
            FROM pg_catalog.pg_class
            WHERE oid IN (to_regclass('public.orders'), to_regclass('public.order_items'))
              AND relreplident = 'f')                                       AS is_schema_present,
       EXISTS (SELECT FROM pg_catalog.pg_publication
               WHERE pubname = 'readmodels')                                AS is_publication_present;

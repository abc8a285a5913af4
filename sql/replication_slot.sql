-- The connector's slot, if there is one: where it stands, and how much WAL it keeps from being removed.

SELECT slot_name                                                          AS name,
       database,
       plugin,
       active                                                             AS is_active,
       wal_status,
       safe_wal_size                                                      AS safe_wal_bytes,
       (restart_lsn - '0/0'::pg_lsn)::bigint                              AS restart_lsn,
       (confirmed_flush_lsn - '0/0'::pg_lsn)::bigint                      AS confirmed_flush_lsn,
       pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint         AS retained_wal_bytes
FROM pg_catalog.pg_replication_slots
WHERE slot_name = %(slot)s;

-- One row per logical slot of this database, and how much WAL it keeps from being removed.

SELECT slot_name::text                                                    AS name,
       plugin::text                                                       AS plugin,
       active                                                             AS is_active,
       pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) AS retained
FROM pg_catalog.pg_replication_slots
WHERE database = current_database() AND NOT temporary
ORDER BY slot_name;

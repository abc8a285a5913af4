-- One row: which system writes the WAL and how far it is, and who reads the connector's slot.

SELECT (SELECT system_identifier FROM pg_control_system())::text                AS system_identifier,
       pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'::pg_lsn)::bigint             AS current_lsn,
       (SELECT active_pid FROM pg_catalog.pg_replication_slots
        WHERE slot_name = %(slot)s)                                             AS reader;

"""Source database: connections, preconditions, replication slot, watermarks and snapshots."""

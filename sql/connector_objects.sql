-- What the connector needs besides the captured tables, in a schema of its own. Safe to run again.

CREATE SCHEMA IF NOT EXISTS readmodels;

-- The connector updates this row regularly: its slot then advances while the orders are quiet.
CREATE TABLE IF NOT EXISTS readmodels.heartbeat (
    id        integer     PRIMARY KEY,
    beaten_at timestamptz NOT NULL
);

-- A row written here asks the connector for something, such as an incremental snapshot.
-- Its shape is Debezium's: https://debezium.io/documentation/reference/3.6/configuration/signalling.html
CREATE TABLE IF NOT EXISTS readmodels.signal (
    id   varchar(42)   PRIMARY KEY,
    type varchar(32)   NOT NULL,
    data varchar(2048)
);

-- A blocking snapshot is read in mid-stream, and says nothing of rows that are gone: `readmodels epoch open` takes one.
ALTER TABLE readmodels.signal DROP CONSTRAINT IF EXISTS no_blocking_snapshot;
ALTER TABLE readmodels.signal ADD CONSTRAINT no_blocking_snapshot
    CHECK (type <> 'execute-snapshot' OR coalesce(data::json ->> 'type', 'incremental') ILIKE 'incremental') NOT VALID;

-- The replica identities before `init` changed them, from which `teardown` restores them.
CREATE TABLE IF NOT EXISTS readmodels.earlier_replica_identity (
    schema_name text NOT NULL,
    table_name  text NOT NULL,
    identity    text NOT NULL CHECK (identity IN ('d', 'i', 'n')),
    index_name  text,
    PRIMARY KEY (schema_name, table_name)
);

"""A connector's records in every case of the change log that readers must know, each on its own table.

`SCHEMA` runs before the snapshot; `ACTS` run in turn after it.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

SCHEMA = """
CREATE EXTENSION hstore;
CREATE TYPE address AS (street text, city text);

-- D2, D3, D9: no whole old row; wide values stay where they are when another column changes.
CREATE TABLE defaulted (
    id bigint PRIMARY KEY, order_id bigint NOT NULL, sku text NOT NULL, quantity integer NOT NULL,
    total numeric(12, 2) NOT NULL DEFAULT 9.99, created timestamptz NOT NULL,
    a_text text, a_json json, a_jsonb jsonb, octets bytea, an_hstore hstore,
    texts text[], integers integer[], bigints bigint[], dates date[], uuids uuid[]);

-- D5: the record's key is not the row's.
CREATE TABLE keyed (id bigint PRIMARY KEY, order_id bigint NOT NULL, sku text NOT NULL);
CREATE TABLE keyed_defaulted (LIKE keyed INCLUDING ALL);

-- D1, D4, D6, D39.
CREATE TABLE moved (id bigint PRIMARY KEY, order_id bigint NOT NULL, note text);

-- D18: a type that the connector does not know.
CREATE TABLE composites (id bigint PRIMARY KEY, place address, note text);

-- D19, D20: one row of each is there before the snapshot. PostgreSQL lets no one update a row whose identity holds a
-- column that it does not publish.
CREATE TABLE generated (
    id bigint PRIMARY KEY, quantity integer NOT NULL, price numeric(12, 2) NOT NULL,
    total numeric(12, 2) GENERATED ALWAYS AS (quantity * price) STORED);
INSERT INTO generated VALUES (1, 2, 1.10);
CREATE TABLE nulled (id bigint PRIMARY KEY, note text DEFAULT 'dflt');
INSERT INTO nulled VALUES (1, NULL);

-- D7, D22, D23, D24.
CREATE TABLE together (id bigint PRIMARY KEY, note text);
CREATE TABLE together_too (id bigint PRIMARY KEY, note text);
CREATE TABLE inverted (id bigint PRIMARY KEY, note text);
CREATE TABLE in_flight (id bigint PRIMARY KEY, note text);
INSERT INTO in_flight VALUES (1, 'before');

-- D26, D27.
CREATE TABLE incremental (id bigint PRIMARY KEY, note text);
INSERT INTO incremental VALUES (1, 'one'), (2, 'two');
CREATE TABLE blocking (id bigint PRIMARY KEY, note text);
INSERT INTO blocking VALUES (1, 'one'), (2, 'two');
CREATE TABLE signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));

-- D32, D38.
CREATE TABLE changing (id bigint PRIMARY KEY, first text, second text);
CREATE TABLE parted (id bigint NOT NULL, part integer NOT NULL, note text, PRIMARY KEY (id, part))
    PARTITION BY LIST (part);
CREATE TABLE parted_one PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_two PARTITION OF parted FOR VALUES IN (2);
"""

TABLES = (
    *("blocking", "changing", "composites", "defaulted", "generated", "in_flight", "incremental", "inverted"),
    *("keyed", "keyed_defaulted", "moved", "nulled", "parted", "together", "together_too"),
)
_WITHOUT_OLD_ROW = ("defaulted", "generated", "keyed_defaulted")
SNAPSHOT_ROWS = {"blocking": 2, "generated": 1, "in_flight": 1, "incremental": 2, "nulled": 1}

SETTINGS: Mapping[str, str] = {
    "table.include.list": ",".join(f"public.{table}" for table in TABLES),
    "message.key.columns": "public.keyed:order_id;public.keyed_defaulted:order_id",
    "signal.enabled.channels": "source",
    "signal.data.collection": "public.signal",
    "heartbeat.interval.ms": "1000",
}
FORMATS: Mapping[str, Mapping[str, str]] = {
    "cases-avro": {},
    "cases-json": {
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.replace.null.with.default": "false",
        "value.converter.schemas.enable": "false",
    },
}

_WIDE = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 300) n)"
"""A text so long and irregular that PostgreSQL stores it out of line."""
_WAITS_WITHIN_S = 30.0


@dataclass(frozen=True)
class Source:
    """The database during the recording.

    Args:
        url: of a role with all rights in the database.
        seen: waits until the topic of a table has this many records with a value.
    """

    connection: psycopg.Connection[Any]
    url: str
    seen: Callable[[str, int], object]

    def __call__(self, *statements: str) -> None:
        """Execute statements, a transaction each."""
        for statement in statements:
            self.connection.execute(statement.encode())


def prepare(connection: psycopg.Connection[Any], publication: str, role: str) -> None:
    """Create the tables, and publish them."""
    connection.execute(SCHEMA)
    for table in set(TABLES) - set(_WITHOUT_OLD_ROW):
        connection.execute(f"ALTER TABLE {table} REPLICA IDENTITY FULL".encode())
    published = ", ".join((*TABLES, "signal"))
    connection.execute(
        f"CREATE PUBLICATION {publication} FOR TABLE {published} WITH (publish_via_partition_root = true)".encode()
    )
    connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}".encode())
    connection.execute(f"GRANT INSERT ON signal TO {role}".encode())


def without_old_rows(source: Source) -> None:
    """Record D2, D3, D9: insert, update, key change and delete if the WAL holds only the key."""
    source(
        f"""INSERT INTO defaulted SELECT 1, 77, 'A', 3, 12.30, '2026-01-02 03:04:05+00', wide, to_json(wide),
            to_jsonb(wide), decode(wide, 'hex'), hstore('a', wide), ARRAY[wide],
            (SELECT array_agg(hashint4(n)) FROM generate_series(1, 3000) n),
            (SELECT array_agg(hashint8extended(n, 0)) FROM generate_series(1, 3000) n),
            (SELECT array_agg(date '2026-01-01' + hashint4(n) % 100000) FROM generate_series(1, 3000) n),
            (SELECT array_agg(md5(n::text)::uuid) FROM generate_series(1, 600) n)
            FROM (VALUES ({_WIDE})) AS one (wide)""",
        "UPDATE defaulted SET sku = 'B' WHERE id = 1",
        "UPDATE defaulted SET id = 2 WHERE id = 1",
        "DELETE FROM defaulted WHERE id = 2",
    )


def other_keys(source: Source) -> None:
    """Record D5: a row changes its record key, and is deleted, with and without the whole old row."""
    for table in ("keyed", "keyed_defaulted"):
        source(
            f"INSERT INTO {table} VALUES (1, 77, 'A'), (2, 77, 'B'), (3, 77, 'C')",
            f"UPDATE {table} SET order_id = 78 WHERE id = 1",
            f"DELETE FROM {table} WHERE id = 2",
        )


def moves(source: Source) -> None:
    """Record D1, D4, D6, D39: other parents, another key, and a key that returns after its tombstone."""
    source(
        "INSERT INTO moved VALUES (1, 77, 'first')",
        "UPDATE moved SET order_id = 78 WHERE id = 1",
        "UPDATE moved SET order_id = 79 WHERE id = 1",
        "UPDATE moved SET id = 500 WHERE id = 1",
        "DELETE FROM moved WHERE id = 500",
        "INSERT INTO moved VALUES (500, 80, 'again')",
    )


def messages(source: Source) -> None:
    """Record D8: messages within a transaction, and without one."""
    source(
        "SELECT pg_logical_emit_message(true, 'golden', 'within a transaction ☺')",
        "SELECT pg_logical_emit_message(false, 'golden', 'without one')",
    )


MESSAGES = 2


def odd_columns(source: Source) -> None:
    """Record D18, D19, D20."""
    source(
        "INSERT INTO composites VALUES (1, ROW('Straße 1', 'Köln'), 'kept')",
        "UPDATE generated SET quantity = 3",
        "INSERT INTO nulled VALUES (2, NULL)",
        "INSERT INTO nulled (id) VALUES (3)",
    )


def at_once(source: Source) -> None:
    """Record D7, D22: rows of one statement, of one COPY, and a truncate of two tables."""
    source("INSERT INTO together VALUES (1, 'one'), (2, 'two')")
    _copy(source.connection, "together", [3, 4])
    with source.connection.transaction():
        source("INSERT INTO together VALUES (5, 'five')", "INSERT INTO together_too VALUES (6, 'six')")
    source("TRUNCATE together, together_too")


def inversion(source: Source) -> None:
    """Record D23: a row written before the deletion that makes it possible."""
    source("INSERT INTO inverted VALUES (1, 'old'), (2, 'old')")
    with psycopg.connect(source.url) as first, psycopg.connect(source.url) as second:
        first.execute("DELETE FROM inverted WHERE id = 1")
        copying = threading.Thread(target=_copy, args=(second, "inverted", [1, 2]))
        copying.start()
        _wait_for_lock(source.connection, second.info.backend_pid)
        first.execute("DELETE FROM inverted WHERE id = 2")
        first.commit()
        copying.join()
        second.commit()


def snapshots(source: Source) -> None:
    """Record D26, D27: an incremental snapshot, and one that interrupts streaming."""
    for kind in ("incremental", "blocking"):
        asked = f'{{"data-collections": ["public.{kind}"], "type": "{kind}"}}'
        source(f"INSERT INTO signal VALUES ('golden-{kind}', 'execute-snapshot', '{asked}')")
        source.seen(kind, 2 * SNAPSHOT_ROWS[kind])


def other_schemas(source: Source) -> None:
    """Record D32: a column is added, renamed and dropped between changes."""
    source(
        "INSERT INTO changing VALUES (1, 'a', 'b')",
        "ALTER TABLE changing ADD third text NOT NULL DEFAULT 'c'",
        "UPDATE changing SET first = 'A'",
        "ALTER TABLE changing RENAME second TO renamed",
        "UPDATE changing SET first = 'AA'",
        "ALTER TABLE changing DROP renamed",
        "UPDATE changing SET first = 'AAA'",
    )


def partitions(source: Source) -> None:
    """Record D38: a row moves between the partitions of its table."""
    source("INSERT INTO parted VALUES (1, 1, 'one')", "UPDATE parted SET part = 2", "DELETE FROM parted")


ACTS = (
    without_old_rows,
    other_keys,
    moves,
    messages,
    odd_columns,
    at_once,
    inversion,
    other_schemas,
    partitions,
    snapshots,
)


def _copy(connection: psycopg.Connection[Any], table: str, ids: list[int]) -> None:
    with connection.cursor().copy(f"COPY {table} (id, note) FROM STDIN".encode()) as rows:
        for row_id in ids:
            rows.write_row([row_id, "copied"])


def _wait_for_lock(connection: psycopg.Connection[Any], pid: int) -> None:
    deadline = time.monotonic() + _WAITS_WITHIN_S
    while not connection.execute("SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", [pid]).fetchone():
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not wait")
        time.sleep(0.05)

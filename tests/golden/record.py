"""Records the golden change records anew, from a running stack: `python -m tests.golden.record ENDPOINTS.json`.

`ENDPOINTS.json` is what `readmodels up --json` prints, and `readmodels init` has made the connector's role. A database,
a connector, a slot and topics are made for the recording, and taken down again; its schemas stay in the registry.
"""

import base64
import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from psycopg.conninfo import make_conninfo

from connectors.connect import ConnectClient
from tests.golden.catalogue import COLUMNS, SCHEMA, TABLE, VARIANTS, Variant
from tests.golden.expectation import EXPECTATION

GOLDEN = Path(__file__).parent
CONNECTOR = GOLDEN.parents[1] / "connectors" / "postgres-orders-cdc.json"
PREFIX = "golden"
TOPIC = f"{PREFIX}.{TABLE}"
TIMEOUT_S = 60.0

_ABSENT = ("heartbeat.", "signal.", "notification.", "message.prefix.")
"""Settings that concern the rest of the pipeline."""

Image = dict[str, Any] | None
Change = tuple[str, Image, Image]


def main(endpoints: dict[str, str]) -> None:
    """Record every variant."""
    for name, variant in VARIANTS.items():
        with _database(endpoints) as connection, _topic(endpoints):
            changes: list[Change] = [("r", None, image) for image in _insert(connection, variant, first_id=1)]
            with _connector(endpoints, variant):
                values = _read(endpoints, len(changes))
                changes += _change(connection, variant)
                values = _read(endpoints, len(changes))
        _write(endpoints, name, values, changes)
        print(f"{name}: {len(values)} records")


@contextmanager
def _database(endpoints: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    admin_url = endpoints["postgres_admin"]
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {PREFIX}")
        admin.execute(f"CREATE DATABASE {PREFIX}")
        try:
            with psycopg.connect(make_conninfo(admin_url, dbname=PREFIX), autocommit=True) as connection:
                connection.execute(SCHEMA)
                columns = ", ".join(
                    f"{name} {kind}{' NOT NULL' if name.startswith('required') else ''}"
                    for name, kind in COLUMNS.items()
                )
                connection.execute(f"CREATE TABLE {TABLE} ({columns}, PRIMARY KEY (id))")
                connection.execute(f"ALTER TABLE {TABLE} REPLICA IDENTITY FULL")
                connection.execute(f"CREATE PUBLICATION {PREFIX} FOR TABLE {TABLE}")
                connection.execute(f"GRANT SELECT ON {TABLE} TO debezium")
                yield connection
        finally:
            admin.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
                [PREFIX],
            )
            admin.execute(f"DROP DATABASE {PREFIX}")


@contextmanager
def _topic(endpoints: dict[str, str]) -> Iterator[None]:
    admin = AdminClient({"bootstrap.servers": endpoints["kafka"]})
    for created in admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)]).values():
        created.result()
    try:
        yield
    finally:
        for deleted in admin.delete_topics([TOPIC]).values():
            deleted.result()


@contextmanager
def _connector(endpoints: dict[str, str], variant: Variant) -> Iterator[None]:
    settings = json.loads(CONNECTOR.read_text())["config"]
    settings = {key: value for key, value in settings.items() if not key.startswith(_ABSENT)}
    settings |= {
        "topic.prefix": PREFIX,
        "database.dbname": PREFIX,
        "slot.name": PREFIX,
        "publication.name": PREFIX,
        "table.include.list": TABLE,
    }
    with closing(ConnectClient(endpoints["connect"])) as connect:
        connect.put_config(PREFIX, {**settings, **variant.settings})
        try:
            connect.wait_until_running(PREFIX, TIMEOUT_S)
            yield
        finally:
            connect.stop(PREFIX)
            connect.wait_until_stopped(PREFIX, TIMEOUT_S)
            connect.forget_offsets(PREFIX)
            connect.delete(PREFIX)


def _insert(connection: psycopg.Connection[Any], variant: Variant, first_id: int) -> list[Image]:
    images = []
    for row_id, row in enumerate(variant.rows, first_id):
        columns = ", ".join(row)
        connection.execute(f"INSERT INTO {TABLE} (id, {columns}) VALUES ({row_id}, {', '.join(row.values())})".encode())
        images.append(_expected(connection, row_id))
    return images


def _change(connection: psycopg.Connection[Any], variant: Variant) -> list[Change]:
    """Insert, update, delete, move to another key and truncate, and say which changes must be read."""
    first_id = 11
    inserted = _insert(connection, variant, first_id)
    changes: list[Change] = [("c", None, image) for image in inserted]

    connection.execute(f"UPDATE {TABLE} SET a_smallint = 8 WHERE id = {first_id}")
    changes.append(("u", inserted[0], _expected(connection, first_id)))

    infinite = first_id + len(inserted) - 2
    connection.execute(f"DELETE FROM {TABLE} WHERE id = {infinite}")
    changes.append(("d", inserted[-2], None))

    connection.execute(f"UPDATE {TABLE} SET id = 99 WHERE id = {first_id + 2}")
    changes.append(("d", inserted[2], None))
    changes.append(("c", None, _expected(connection, 99)))

    connection.execute(f"TRUNCATE {TABLE}")
    changes.append(("t", None, None))
    return changes


def _expected(connection: psycopg.Connection[Any], row_id: int) -> Image:
    row = connection.execute(EXPECTATION.encode(), [row_id]).fetchone()
    if row is None:
        raise LookupError(f"row {row_id} is not there")
    image: Image = row[0]
    return image


def _read(endpoints: dict[str, str], count: int) -> list[bytes | None]:
    """Read the topic from its start until it has given `count` values that are not null."""
    consumer = Consumer(
        {
            "bootstrap.servers": endpoints["kafka"],
            "group.id": f"{PREFIX}.{uuid.uuid4()}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    values: list[bytes | None] = []
    with closing(consumer):
        consumer.assign([TopicPartition(TOPIC, 0, 0)])
        while sum(value is not None for value in values) < count:
            messages = consumer.consume(1, TIMEOUT_S)
            if not messages or messages[0].error():
                raise TimeoutError(f"{len(values)} of {count} records came")
            values.append(messages[0].value())
    return values


def _write(endpoints: dict[str, str], name: str, values: list[bytes | None], changes: list[Change]) -> None:
    """Write a line that describes the recording, one per record, and one per change that they must be read as."""
    registry = SchemaRegistryClient({"url": endpoints["schema_registry"]})
    ids = {int.from_bytes(value[1:5], "big") for value in values if value and value[:1] == b"\0"}
    schemas = {str(key): json.loads(registry.get_schema(key).schema_str or "null") for key in sorted(ids)}
    # A JSON value repeats its whole schema.
    first = next(value for value in values if value is not None)
    prefix = first.partition(b'"payload":')[0] if first.startswith(b'{"schema":') else b""
    head = {"topic": TOPIC, "table": TABLE, "columns": COLUMNS, "schemas": schemas, "prefix": _base64(prefix)}
    lines: list[Any] = [head]
    lines += [{"value": None if value is None else _base64(value.removeprefix(prefix))} for value in values]
    lines += [{"op": op, "before": before, "after": after} for op, before, after in changes]
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    (GOLDEN / f"{name}.jsonl").write_text(text)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))

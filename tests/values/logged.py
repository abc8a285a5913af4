"""The table of all types and extremes, as a real connector sends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from connectors.decode.decoder import Decoder
from connectors.envelope import SourceTable
from connectors.records import RecordBatch
from pipeline.definitions import DocumentDefinition, ModelDefinitions, TableDefinition
from stack.endpoints import Endpoints
from tests.golden.recorder import PREFIX, ROLE, Recorder
from tests.values.extremes import COLUMNS, DEFAULTS, SCHEMA, TABLE, rows

TOPIC = f"{PREFIX}.{TABLE}"

GENERATED = "generated"
"""A stored generated column, which PostgreSQL publishes since version 18."""

CONTRACT = ModelDefinitions(
    topic_prefix=PREFIX,
    tables={"extremes": TableDefinition(source=TABLE, key=("id",), columns={**COLUMNS, GENERATED: "numeric"})},
    documents={"extremes": DocumentDefinition(root="extremes")},
)


@dataclass(frozen=True)
class Logged:
    """The connector's records of the table.

    Attributes:
        url: of the table's database, which exists until the block ends.
        snapshot, streamed: the envelopes of all rows in a snapshot, and of an update of each, in order of id.
    """

    url: str
    snapshot: pa.Table
    streamed: pa.Table


class _Schemas:
    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas

    def schema(self, schema_id: int) -> Any:
        return self._schemas[str(schema_id)]


@contextmanager
def logged(endpoints: Endpoints) -> Iterator[Logged]:
    """Fill the table, and have a separate connector send every row twice."""
    recorder = Recorder(endpoints)
    with recorder.database() as connection, recorder.topics([TOPIC]):
        count = _fill(connection)
        with recorder.connector({"table.include.list": TABLE}):
            recorder.read(TOPIC, count)
            connection.execute(f"UPDATE {TABLE} SET c0 = c0".encode())
            records = recorder.read(TOPIC, 2 * count)
        values = [record.value for record in records]
        number = len(values)
        decoder = Decoder(
            {TOPIC: SourceTable(TABLE, CONTRACT.tables["extremes"].columns)}, _Schemas(recorder.schemas(values))
        )
        decoded = decoder.decode(
            RecordBatch(TOPIC, np.zeros(number, np.int32), np.arange(number), [None] * number, values)
        )
        assert decoded.rejected == []
        envelopes = pa.concat_tables(decoded.envelopes)
        envelopes = envelopes.take(pc.sort_indices(pc.struct_field(envelopes["after"], "id")))
        is_snapshot = pc.equal(envelopes["op"], "r")
        yield Logged(recorder.url, envelopes.filter(is_snapshot), envelopes.filter(pc.invert(is_snapshot)))


def _fill(connection: psycopg.Connection[Any]) -> int:
    connection.execute(SCHEMA.encode())
    connection.execute("SET TIME ZONE 'UTC'")
    columns = ", ".join(f"{name} {text}" for name, text in COLUMNS.items())
    connection.execute(f"CREATE TABLE {TABLE} ({columns}, PRIMARY KEY (id))".encode())
    connection.execute(f"ALTER TABLE {TABLE} ADD {GENERATED} numeric GENERATED ALWAYS AS (id * 1.50) STORED".encode())
    connection.execute(f"ALTER TABLE {TABLE} {DEFAULTS}".encode())
    connection.execute(f"ALTER TABLE {TABLE} REPLICA IDENTITY FULL".encode())
    count = 0
    for count, row in enumerate(rows(), 1):
        places = ", ".join(f"%s::text::{COLUMNS[name]}" for name in row)
        statement = f"INSERT INTO {TABLE} (id, {', '.join(row)}) VALUES ({count}, {places})"
        connection.execute(statement.encode(), list(row.values()))
    connection.execute(f"GRANT SELECT ON {TABLE} TO {ROLE}".encode())
    published = f"CREATE PUBLICATION {PREFIX} FOR TABLE {TABLE} WITH (publish_generated_columns = stored)"
    connection.execute(published.encode())
    return count

"""Envelope table in Arrow: the change, its offset in the log and its LSN in the WAL."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import pyarrow as pa

from connectors.types.pg_types import TypeKind, parse_column_type


class ValueEncoding(Enum):
    """Encoding of a topic's values. It is declared, never guessed."""

    AVRO = auto()
    """In Confluent's wire format, with the schema in a registry."""

    JSON = auto()
    """As Connect's JSON converter writes them, with or without schemas."""


@dataclass(frozen=True)
class EarlierRecords:
    """Records that were written before a column was added, or before its type changed.

    Attributes:
        values: by column, the value to read from such a record, in the form of
            `connectors.types.wire_types.default_json`.
        end: by partition, the offset from which all records have the columns; None for the whole log.
    """

    values: Mapping[str, Any]
    end: Mapping[int, int] | None = None


@dataclass(frozen=True)
class SourceTable:
    """Declaration of one source table.

    Attributes:
        table: the table with its schema, such as "public.orders".
        columns: the PostgreSQL type of each column, such as "numeric(12,2)", in the order of the images.
        format: the encoding of the topic's values.
        earlier: the records that may lack columns; None if all have them.
    """

    table: str
    columns: Mapping[str, str]
    format: ValueEncoding = ValueEncoding.AVRO
    earlier: EarlierRecords | None = None


NESTED = "_nested"
"""Field of an image for arrays of several dimensions, for which Arrow has no single type."""


def image_type(table: SourceTable) -> pa.StructType:
    """Return the type of a row image: the declared columns, in order, each in its one Arrow type.

    If a column is an array, `NESTED` follows: a JSON object with the PostgreSQL text of each array of several
    dimensions. The column itself is null in that case.

    Raises:
        UnsupportedType: a declared type cannot be stored exactly.
    """
    types = {name: parse_column_type(text) for name, text in table.columns.items()}
    fields = [pa.field(name, kind.arrow) for name, kind in types.items()]
    if any(kind.kind is TypeKind.ARRAY for kind in types.values()):
        fields.append(pa.field(NESTED, pa.string()))
    return pa.struct(fields)


def envelope_schema(table: SourceTable) -> pa.Schema:
    """Return the schema of a table's decoded envelopes, one row per record.

    Columns:
        partition, offset: the position of the record in its topic.
        op: c, u, d, r (a row of a snapshot) or t (a truncate of the table).
        snapshot: the row belongs to a snapshot that is not incremental; incremental snapshots are streamed.
        commit_lsn: the LSN of the last commit before this change; the change's own if there was none.
        lsn: the change's own LSN in the WAL.
        committed_at: the commit time of its transaction; for a snapshot row, the time of the snapshot.
        before, after: the row images; null if the change has none.

    Raises:
        UnsupportedType: a declared type cannot be stored exactly.

    Source: https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events
    """
    image = image_type(table)
    return pa.schema(
        [
            ("partition", pa.int32()),
            ("offset", pa.int64()),
            ("op", pa.string()),
            ("snapshot", pa.bool_()),
            ("commit_lsn", pa.int64()),
            ("lsn", pa.int64()),
            ("committed_at", pa.timestamp("us", "UTC")),
            ("before", image),
            ("after", image),
        ]
    )

"""The Arrow table of decoded envelopes: what changed, and where the change stands in the log and in the WAL."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import pyarrow as pa

from connectors.types.pg_types import TypeKind, parse_column_type


class ValueEncoding(Enum):
    """How the values of a topic are written; it is declared, never guessed."""

    AVRO = auto()
    """In Confluent's wire format, with the schema in a registry."""

    JSON = auto()
    """As Connect's JSON converter writes them, with schemas or without."""


@dataclass(frozen=True)
class EarlierRecords:
    """Records that were written before a column was added, or before it was given its type.

    Attributes:
        values: by column, the value that such a record reads as, in the form of
            `connectors.types.wire_types.default_json`.
        end: by partition, the offset from which on every record has the columns; None for all of the log.
    """

    values: Mapping[str, Any]
    end: Mapping[int, int] | None = None


@dataclass(frozen=True)
class SourceTable:
    """What is declared of one source table.

    Attributes:
        table: the table with its schema, such as "public.orders".
        columns: the PostgreSQL type of each column, such as "numeric(12,2)", in the order of the images.
        format: how the topic's values are written.
        earlier: the records that may lack columns; None where none may.
    """

    table: str
    columns: Mapping[str, str]
    format: ValueEncoding = ValueEncoding.AVRO
    earlier: EarlierRecords | None = None


NESTED = "_nested"
"""The field of an image that holds arrays of several dimensions, for which Arrow has no one type."""


def image_type(table: SourceTable) -> pa.StructType:
    """Return the type of a row image: the declared columns, in their order, each in its one Arrow type.

    Where a column is an array, `NESTED` follows: a JSON object with the text, as PostgreSQL prints it, of each array
    that has several dimensions. The column itself is null there.

    Raises:
        UnsupportedType: a declared type cannot be kept exactly.
    """
    types = {name: parse_column_type(text) for name, text in table.columns.items()}
    fields = [pa.field(name, kind.arrow) for name, kind in types.items()]
    if any(kind.kind is TypeKind.ARRAY for kind in types.values()):
        fields.append(pa.field(NESTED, pa.string()))
    return pa.struct(fields)


def envelope_schema(table: SourceTable) -> pa.Schema:
    """Return the schema of a table's decoded envelopes, one row per record.

    Columns:
        partition, offset: where the record lies in its topic.
        op: c, u, d, r (a row of a snapshot) or t (the table was truncated).
        snapshot: whether the row belongs to a snapshot that is not incremental; those are streamed.
        commit_lsn: the LSN of the last commit before this change; where there was none, the change's own.
        lsn: the change's own place in the WAL.
        committed_at: when its transaction was committed; of a snapshot row, when the snapshot was taken.
        before, after: the row images; null where the change has none.

    Raises:
        UnsupportedType: a declared type cannot be kept exactly.

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

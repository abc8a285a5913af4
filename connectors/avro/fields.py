"""Field readers of an Avro schema, each over all records at once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.avro.arrays import ArrayReader
from connectors.avro.cursor import (
    SCHEMA_MISMATCH,
    Column,
    Cursor,
    FieldReader,
    NotColumnar,
    NumberColumn,
    RecordColumn,
    TextColumn,
)
from connectors.avro.primitives import Ints


class _Integer:
    def __init__(self, bits: int) -> None:
        self._kind = pa.int32() if bits == 32 else pa.int64()
        self._limit = 1 << (bits - 1)

    def read(self, cursor: Cursor) -> Column:
        values = cursor.longs()
        if self._limit == 1 << 31:
            outside = (values >= self._limit) | (values < -self._limit)
            if outside.any():
                cursor.fail(outside, SCHEMA_MISMATCH)
                values = np.where(outside, 0, values)
            values = values.astype(np.int32)
        return NumberColumn(values, self._kind)

    def skip(self, cursor: Cursor) -> None:
        cursor.longs()


class _Float:
    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind
        self._width = kind.bit_width // 8

    def read(self, cursor: Cursor) -> Column:
        cursor.require(self._width)
        values = cursor.data.floats(cursor.at, f"<f{self._width}")
        cursor.at = cursor.at + self._width
        return NumberColumn(values, self._kind)

    def skip(self, cursor: Cursor) -> None:
        cursor.at = cursor.at + self._width


class _Boolean:
    def read(self, cursor: Cursor) -> Column:
        cursor.require(1)
        values = cursor.data.booleans(cursor.at)
        cursor.at = cursor.at + 1
        wrong = values > 1
        if wrong.any():
            cursor.fail(wrong, SCHEMA_MISMATCH)
        return NumberColumn(values.astype(bool), pa.bool_())

    def skip(self, cursor: Cursor) -> None:
        cursor.at = cursor.at + 1


class _Text:
    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind

    def read(self, cursor: Cursor) -> Column:
        starts, lengths = cursor.byte_ranges()
        return TextColumn(cursor.data, starts, lengths, self._kind)

    def skip(self, cursor: Cursor) -> None:
        cursor.byte_ranges()


class _Fixed:
    def __init__(self, size: int) -> None:
        self._size = size

    def read(self, _: Cursor) -> Column:
        raise NotColumnar("fixed")

    def skip(self, cursor: Cursor) -> None:
        cursor.require(self._size)
        cursor.at = cursor.at + self._size


class _Null:
    def read(self, _: Cursor) -> Column:
        raise NotColumnar("null")

    def skip(self, _: Cursor) -> None:
        return


class _Union:
    def __init__(self, branches: list[FieldReader], null: int | None) -> None:
        self._branches = branches
        self._null = null

    def read(self, cursor: Cursor) -> Column:
        if self._null is None or len(self._branches) != 2:
            raise NotColumnar("union")
        other = 1 - self._null
        branches = cursor.longs()
        chosen = np.flatnonzero(branches == other)
        if len(chosen) == len(cursor):
            return self._branches[other].read(cursor)
        self._refuse_others(cursor, branches)
        part = cursor.select(chosen)
        column = self._branches[other].read(part)
        cursor.merge(part, chosen)
        return column.scatter(chosen, len(cursor))

    def skip(self, cursor: Cursor) -> None:
        branches = cursor.longs()
        self._refuse_others(cursor, branches)
        for index, branch in enumerate(self._branches):
            if index == self._null:
                continue
            chosen = np.flatnonzero(branches == index)
            if len(chosen) == len(cursor):
                branch.skip(cursor)
            elif len(chosen):
                part = cursor.select(chosen)
                branch.skip(part)
                cursor.merge(part, chosen)

    def _refuse_others(self, cursor: Cursor, branches: Ints) -> None:
        wrong = (branches < 0) | (branches >= len(self._branches))
        if wrong.any():
            cursor.fail(wrong, SCHEMA_MISMATCH)


class _Record:
    def __init__(self, fields: Mapping[str, FieldReader], wanted: frozenset[str]) -> None:
        self._fields = fields
        self._wanted = wanted

    def read(self, cursor: Cursor) -> Column:
        columns = {}
        for name, step in self._fields.items():
            if name in self._wanted:
                columns[name] = step.read(cursor)
            else:
                step.skip(cursor)
        return RecordColumn(columns, len(cursor))

    def skip(self, cursor: Cursor) -> None:
        for step in self._fields.values():
            step.skip(cursor)


class _Map:
    def __init__(self, entries: FieldReader) -> None:
        self._entries = entries

    def read(self, _: Cursor) -> Column:
        raise NotColumnar("map")

    def skip(self, cursor: Cursor) -> None:
        self._entries.skip(cursor)


_PRIMITIVES: Mapping[str, FieldReader] = {
    "null": _Null(),
    "boolean": _Boolean(),
    "int": _Integer(32),
    "long": _Integer(64),
    "float": _Float(pa.float32()),
    "double": _Float(pa.float64()),
    "bytes": _Text(pa.binary()),
    "string": _Text(pa.string()),
    "enum": _Integer(32),
}

FieldSelection = Mapping[str, "FieldSelection | None"]
"""Fields of a record to keep, each with its own selection; None keeps a field whole."""


def field_reader(schema: Any, wanted: FieldSelection | None = None) -> FieldReader:
    """Return the reader for a resolved schema.

    Args:
        wanted: the fields to keep if it is a record or a nullable record.
    """
    if isinstance(schema, str):
        return _PRIMITIVES[schema]
    if isinstance(schema, list):
        null = schema.index("null") if "null" in schema else None
        return _Union([field_reader(branch, wanted) for branch in schema], null)
    match schema["type"]:
        case "record" | "error":
            fields = {f["name"]: field_reader(f["type"], (wanted or {}).get(f["name"])) for f in schema["fields"]}
            return _Record(fields, frozenset(fields if wanted is None else wanted))
        case "array":
            return ArrayReader(field_reader(schema["items"]))
        case "map":
            return _Map(
                ArrayReader(
                    _Record({"key": _PRIMITIVES["string"], "value": field_reader(schema["values"])}, frozenset())
                )
            )
        case "fixed":
            return _Fixed(schema["size"])
        case kind:
            return field_reader(kind, wanted)

"""One step per field of an Avro schema, each over all records at once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.avro.arrays import ArrayStep
from connectors.avro.cursor import FOREIGN, Column, Cursor, Fields, Numbers, Step, Texts, Unreadable
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
                cursor.fail(outside, FOREIGN)
                values = np.where(outside, 0, values)
            values = values.astype(np.int32)
        return Numbers(values, self._kind)

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
        return Numbers(values, self._kind)

    def skip(self, cursor: Cursor) -> None:
        cursor.at = cursor.at + self._width


class _Boolean:
    def read(self, cursor: Cursor) -> Column:
        cursor.require(1)
        values = cursor.data.booleans(cursor.at)
        cursor.at = cursor.at + 1
        wrong = values > 1
        if wrong.any():
            cursor.fail(wrong, FOREIGN)
        return Numbers(values.astype(bool), pa.bool_())

    def skip(self, cursor: Cursor) -> None:
        cursor.at = cursor.at + 1


class _Text:
    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind

    def read(self, cursor: Cursor) -> Column:
        starts, lengths = cursor.stretches()
        return Texts(cursor.data, starts, lengths, self._kind)

    def skip(self, cursor: Cursor) -> None:
        cursor.stretches()


class _Fixed:
    def __init__(self, size: int) -> None:
        self._size = size

    def read(self, _: Cursor) -> Column:
        raise Unreadable("fixed")

    def skip(self, cursor: Cursor) -> None:
        cursor.require(self._size)
        cursor.at = cursor.at + self._size


class _Null:
    def read(self, _: Cursor) -> Column:
        raise Unreadable("null")

    def skip(self, _: Cursor) -> None:
        return


class _Union:
    def __init__(self, branches: list[Step], null: int | None) -> None:
        self._branches = branches
        self._null = null

    def read(self, cursor: Cursor) -> Column:
        if self._null is None or len(self._branches) != 2:
            raise Unreadable("union")
        other = 1 - self._null
        branches = cursor.longs()
        chosen = np.flatnonzero(branches == other)
        if len(chosen) == len(cursor):
            return self._branches[other].read(cursor)
        self._refuse_others(cursor, branches)
        part = cursor.part(chosen)
        column = self._branches[other].read(part)
        cursor.rejoin(part, chosen)
        return column.spread(chosen, len(cursor))

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
                part = cursor.part(chosen)
                branch.skip(part)
                cursor.rejoin(part, chosen)

    def _refuse_others(self, cursor: Cursor, branches: Ints) -> None:
        wrong = (branches < 0) | (branches >= len(self._branches))
        if wrong.any():
            cursor.fail(wrong, FOREIGN)


class _Record:
    def __init__(self, fields: Mapping[str, Step], wanted: frozenset[str]) -> None:
        self._fields = fields
        self._wanted = wanted

    def read(self, cursor: Cursor) -> Column:
        columns = {}
        for name, step in self._fields.items():
            if name in self._wanted:
                columns[name] = step.read(cursor)
            else:
                step.skip(cursor)
        return Fields(columns, len(cursor))

    def skip(self, cursor: Cursor) -> None:
        for step in self._fields.values():
            step.skip(cursor)


class _Map:
    def __init__(self, entries: Step) -> None:
        self._entries = entries

    def read(self, _: Cursor) -> Column:
        raise Unreadable("map")

    def skip(self, cursor: Cursor) -> None:
        self._entries.skip(cursor)


_PRIMITIVES: Mapping[str, Step] = {
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

Wanted = Mapping[str, "Wanted | None"]
"""The fields of a record to keep, each with its own; None keeps a field whole."""


def step(schema: Any, wanted: Wanted | None = None) -> Step:
    """Return the step for a resolved schema.

    Args:
        wanted: which fields to keep where it is a record, or a nullable one.
    """
    if isinstance(schema, str):
        return _PRIMITIVES[schema]
    if isinstance(schema, list):
        null = schema.index("null") if "null" in schema else None
        return _Union([step(branch, wanted) for branch in schema], null)
    match schema["type"]:
        case "record" | "error":
            fields = {f["name"]: step(f["type"], (wanted or {}).get(f["name"])) for f in schema["fields"]}
            return _Record(fields, frozenset(fields if wanted is None else wanted))
        case "array":
            return ArrayStep(step(schema["items"]))
        case "map":
            return _Map(
                ArrayStep(_Record({"key": _PRIMITIVES["string"], "value": step(schema["values"])}, frozenset()))
            )
        case "fixed":
            return _Fixed(schema["size"])
        case kind:
            return step(kind, wanted)

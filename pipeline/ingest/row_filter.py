"""Evaluation of row filters in Arrow."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.types.iso8601 import parse_date, parse_timestamp
from connectors.types.timestamps import FAR_US
from pipeline.ingest.json_text import struct_field
from pipeline.ingest.key_text import key_type
from pipeline.row_filter import Condition, ValueKind
from sinks.pg_type import parse_pg_type

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_COMPARE_NUMBERS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ABOVE_ALL = Decimal("Infinity")
_BEYOND_RANGE = 2**63 - 2
"""Number for a timestamp that does not fit into 64 bits: below infinity, and above all that a filter can name."""


def matches(rows: pa.StructArray, conditions: Sequence[Condition], columns: Mapping[str, str]) -> pa.Array:
    """Return for each row whether it meets all conditions; false for a null row.

    Args:
        columns: the PostgreSQL type of every column.
    """
    met = rows.is_valid()
    for condition in conditions:
        column = struct_field(rows, condition.column)
        met = pc.and_(met, pc.fill_null(_is_met(column, condition, columns[condition.column]), fill_value=False))
    return met


def _is_met(column: pa.Array, condition: Condition, text: str) -> pa.Array:
    if condition.operator == "is null":
        return column.is_null()
    if condition.operator == "is not null":
        return column.is_valid()
    if condition.kind is ValueKind.NUMERIC:
        return _numbers(column, condition)
    values = _comparable(column, condition.kind, text)
    wanted = [_value(value, condition.kind, text) for value in condition.values]
    if condition.operator == "in":
        return _any([pc.equal(values, one) for one in wanted])
    return _COMPARE[condition.operator](values, wanted[0])


def _any(found: Sequence[pa.Array]) -> pa.Array:
    first, *rest = found
    for other in rest:
        first = pc.or_(first, other)
    return first


def _comparable(column: pa.Array, kind: ValueKind | None, text: str) -> pa.Array:
    if kind is ValueKind.TEXT:
        return key_type(text).arrow(column)
    if kind is ValueKind.DATE:
        return column.cast(pa.int32()).cast(pa.int64())
    if kind in (ValueKind.TIMESTAMP, ValueKind.TIMESTAMPTZ):
        stored = column.cast(pa.int64())
        is_far = pc.and_(pc.greater_equal(stored, FAR_US[0]), pc.less_equal(stored, FAR_US[1]))
        return pc.if_else(is_far, pa.scalar(_BEYOND_RANGE, pa.int64()), stored)
    return column if kind is ValueKind.BOOLEAN else column.cast(pa.int64())


def _value(text: str, kind: ValueKind | None, column_type: str) -> pa.Scalar:
    if kind is ValueKind.TEXT:
        # PostgreSQL ignores the trailing blanks of a char, and the case of a UUID's digits.
        name = parse_pg_type(column_type).name
        return pa.scalar({"char": text.rstrip(" "), "uuid": text.lower()}.get(name, text))
    if kind is ValueKind.DATE:
        return pa.scalar(parse_date(text), pa.int64())
    if kind in (ValueKind.TIMESTAMP, ValueKind.TIMESTAMPTZ):
        return pa.scalar(parse_timestamp(text.replace(" ", "T")), pa.int64())
    return pa.scalar(text == "true") if kind is ValueKind.BOOLEAN else pa.scalar(int(text), pa.int64())


def _numbers(column: pa.Array, condition: Condition) -> pa.Array:
    """Compare exact decimals, each distinct one once. NaN equals itself and is above all others, as in PostgreSQL."""
    distinct = column.dictionary_encode()
    wanted = [Decimal(value) for value in condition.values]
    compare = _COMPARE_NUMBERS["=" if condition.operator == "in" else condition.operator]
    numbers = [_ABOVE_ALL if text == "NaN" else Decimal(text) for text in distinct.dictionary.to_pylist()]
    met = pa.array([any(compare(number, one) for one in wanted) for number in numbers], pa.bool_())
    return met.take(distinct.indices)

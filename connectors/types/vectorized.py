"""Vectorized reading of whole columns, with `connectors.types.scalar` as the fallback."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import SourceContractViolation, UnreadableRecord
from connectors.types.array_text import is_nested
from connectors.types.numeric import DecimalPolicy
from connectors.types.pg_types import ColumnType, TypeKind
from connectors.types.scalar import value_reader
from connectors.types.temporal import time_unit_us
from connectors.types.wire_types import WireType

Faults = dict[int, str]
"""Faults of records, by row."""

_Fast = Callable[[pa.Array], pa.Array]

# PostgreSQL's dates and timestamps are between 4713 BC and these limits. Only infinities are beyond.
_DAYS = (-2_440_588, 2_145_031_948)
_MICROSECONDS = (-210_866_803_200_000_000, 9_223_371_331_199_999_999)
_DAY_US = (0, 86_400_000_000)

_FORMS: dict[str, tuple[type, pa.DataType]] = {
    "boolean": (bool, pa.bool_()),
    "int": (int, pa.int32()),
    "long": (int, pa.int64()),
    "float": (float, pa.float64()),
    "double": (float, pa.float64()),
    "string": (str, pa.string()),
}
"""Python type of the values of a wire form, and the type of their array."""


class ReadColumn(NamedTuple):
    """Result of reading a column.

    Attributes:
        values: null if the value was null, is faulty or is nested.
        faults: the faults, by row.
        nested: arrays of several dimensions as PostgreSQL prints them, by row.
    """

    values: pa.Array
    faults: Faults
    nested: Mapping[int, str]


class _SlowPathNeeded(Exception):
    """The fast path cannot guarantee an exact result for this array."""


class ColumnReader:
    """Reader of one column of one schema into the Arrow type of its PostgreSQL type."""

    def __init__(self, name: str, wire: WireType, column: ColumnType, decimals: DecimalPolicy) -> None:
        """Choose the readers for the column.

        Raises:
            WireTypeRefused: the form cannot represent the type exactly.
        """
        self._name = name
        self._wire = wire
        self._column = column
        self._read_value = value_reader(wire, column, decimals)
        self._read_array = _fast_reader(wire, column)

    def read(self, raw: pa.Array | list[Any]) -> ReadColumn:
        """Read a column: an array of its Avro type, or a list of values. Null stays null."""
        array = raw if isinstance(raw, pa.Array) else _array(raw, self._wire)
        if array is not None and self._read_array is not None:
            with suppress(_SlowPathNeeded, pa.ArrowInvalid):
                return ReadColumn(self._read_array(array), {}, {})
        return self._read_one_by_one(raw.to_pylist() if isinstance(raw, pa.Array) else raw)

    def _read_one_by_one(self, raw: list[Any]) -> ReadColumn:
        values: list[Any] = []
        faults: Faults = {}
        nested: dict[int, str] = {}
        for row, sent in enumerate(raw):
            value = None
            try:
                value = None if sent is None else self._read_value(sent)
            except UnreadableRecord as error:
                faults[row] = f"column {self._name}: {error}"
            except SourceContractViolation as error:
                raise type(error)(f"column {self._name}: {error}") from error
            if self._column.item is not None and value is not None and is_nested(value):
                nested[row], value = sent, None
            values.append(value)
        return ReadColumn(pa.array(values, _as_integers(self._column.arrow)).cast(self._column.arrow), faults, nested)


def _array(raw: list[Any], wire: WireType) -> pa.Array | None:
    """Convert a list to an array if all values have the one type that the wire form promises; None otherwise."""
    if wire.form not in _FORMS:
        return None
    python, arrow = _FORMS[wire.form]
    try:
        return pa.array(raw, arrow) if {*map(type, raw)} <= {python, NoneType} else None
    except (OverflowError, pa.ArrowInvalid):
        return None


def _as_integers(arrow: pa.DataType) -> pa.DataType:
    """Return the integer type behind a time type, because Python's own dates end at the year 9999."""
    if pa.types.is_list(arrow):
        return pa.list_(_as_integers(arrow.value_type))
    if pa.types.is_date32(arrow):
        return pa.int32()
    return pa.int64() if pa.types.is_time64(arrow) or pa.types.is_timestamp(arrow) else arrow


def _fast_reader(wire: WireType, column: ColumnType) -> _Fast | None:
    """Return the reader for whole arrays of this wire form, or None."""
    match column.kind, wire.form:
        case ((TypeKind.INTEGER | TypeKind.FLOAT | TypeKind.BOOLEAN), "int" | "long" | "float" | "double" | "boolean"):
            return lambda raw: raw.cast(column.arrow)
        case (TypeKind.TEXT | TypeKind.HSTORE, "string") | (TypeKind.BYTES, "bytes"):
            return lambda raw: raw
        case TypeKind.NUMERIC, "string" if column.scale is not None:
            return lambda raw: _decimal_text(raw, column.scale or 0)
        case TypeKind.DATE, "int":
            return lambda raw: _within(raw, _DAYS).cast(column.arrow)
        case TypeKind.TIME, "int" | "long" if (unit := time_unit_us(wire, column) or 0) > 0:
            return lambda raw: _within(_times(raw, unit), _DAY_US).cast(column.arrow)
        case TypeKind.TIMESTAMP, "int" | "long" if (unit := time_unit_us(wire, column) or 0) > 0:
            return lambda raw: _within(_times(raw, unit), _MICROSECONDS).cast(column.arrow)
        case TypeKind.TIMESTAMPTZ, "string":
            return lambda raw: raw.cast(column.arrow)
        case TypeKind.ARRAY, "array" if wire.item is not None and column.item is not None:
            item = _fast_reader(wire.item, column.item)
            return None if item is None else lambda raw: _list(raw, item)
    return None


def _within(raw: pa.Array, limits: tuple[int, int]) -> pa.Array:
    extremes = pc.min_max(raw)
    if extremes["min"].is_valid and not limits[0] <= extremes["min"].as_py() <= extremes["max"].as_py() <= limits[1]:
        raise _SlowPathNeeded
    return raw


def _times(raw: pa.Array, unit: int) -> pa.Array:
    counts = raw.cast(pa.int64())
    return counts if unit == 1 else pc.multiply_checked(counts, unit)


def _list(raw: pa.ListArray, item: _Fast) -> pa.Array:
    if pa.types.is_string(raw.values.type) and pc.any(pc.starts_with(raw.values, "[")).as_py():
        # The remainder of a lost inner array begins with "[".
        raise _SlowPathNeeded
    mask = pc.is_null(raw) if raw.null_count else None
    return pa.ListArray.from_arrays(raw.offsets, item(raw.values), mask=mask)


def _decimal_text(raw: pa.Array, scale: int) -> pa.Array:
    """Return the array unchanged if all texts are plain decimals of this scale, such as "-12.30"; else raise."""
    texts = raw.drop_null()
    if len(texts) == 0:
        return raw
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    starts, ends = offsets[:-1] - offsets[0], offsets[1:] - offsets[0]
    lengths = ends - starts
    if lengths.min() < (scale + 2 if scale else 1):
        raise _SlowPathNeeded
    minus = data[starts] == ord("-")
    first = starts + minus
    point = ends - scale - (scale > 0)
    if (first >= point).any() or (scale and (data[point] != ord(".")).any()):
        raise _SlowPathNeeded
    digits = np.count_nonzero((data >= ord("0")) & (data <= ord("9")))
    if digits + np.count_nonzero(minus) + (len(texts) if scale else 0) != len(data):
        raise _SlowPathNeeded
    if ((data[first] == ord("0")) & (point - first > 1)).any():
        raise _SlowPathNeeded
    return raw

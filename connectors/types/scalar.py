"""Exact decoding of one value at a time, and the reference for the fast path in `connectors.types.vectorized`."""

import json
import re
from typing import Any

from connectors.errors import TypeWidened, UnreadableRecord, WireTypeRefused
from connectors.types.array_item import item_reader
from connectors.types.array_text import WIRE_NAME, items_of
from connectors.types.numeric import DecimalPolicy, numeric_reader
from connectors.types.pg_types import ColumnType, TypeKind
from connectors.types.primitives import Reader, base64_bytes, floating, instance_of, integer, string
from connectors.types.temporal import time_reader
from connectors.types.wire_types import WireType

_LOST = re.compile(r"\[+L[\w.$]+;@[0-9a-f]+", re.ASCII)
"""Text that Debezium's own converter sends for the inner arrays of an array of several dimensions."""


def value_reader(wire: WireType, column: ColumnType, decimals: DecimalPolicy) -> Reader:
    """Return the function that reads this column's values in this wire form.

    Raises:
        WireTypeRefused: the form cannot represent the type exactly.
    """
    match column.kind, wire.form:
        case TypeKind.INTEGER, "int" | "long" if wire.name is None:
            return _integer(wire, column.arrow.bit_width)
        case TypeKind.FLOAT, "float":
            return floating
        case TypeKind.FLOAT, "double" if column.arrow.bit_width == 64:
            return floating
        case TypeKind.BOOLEAN, "boolean":
            return instance_of(bool)
        case ((TypeKind.TEXT | TypeKind.HSTORE), "string"):
            return string
        case TypeKind.HSTORE, "map":
            return _object_text
        case TypeKind.BYTES, "bytes" | "base64" if wire.name is None:
            return _octets(wire)
        case TypeKind.BITS, "boolean" if column.scale == 1:
            return _bit
        case TypeKind.BITS, "bytes" | "base64":
            return _bits(column.scale or 1, _octets(wire))
        case TypeKind.NUMERIC, _:
            return numeric_reader(wire, column.scale, decimals)
        case ((TypeKind.DATE | TypeKind.TIME | TypeKind.TIMESTAMP | TypeKind.TIMESTAMPTZ), _):
            return time_reader(wire, column)
        case TypeKind.ARRAY, _ if column.item is not None:
            return _array_reader(wire, column, column.item, decimals)
    raise WireTypeRefused(f"sent as {wire.name or wire.form}")


def _integer(wire: WireType, bits: int) -> Reader:
    """Return the reader of an integer column. It refuses a value of a wider form as a widened type."""
    read, read_wider = integer(bits), integer(64)

    def read_or_refuse(value: Any) -> Any:
        try:
            return read(value)
        except UnreadableRecord:
            if wire.form == "int":
                raise
            read_wider(value)
            raise TypeWidened(f"a value beyond an integer of {bits} bits") from None

    return read_or_refuse


def _object_text(value: Any) -> str:
    if not isinstance(value, dict):
        raise UnreadableRecord("not a map")
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _octets(wire: WireType) -> Reader:
    return base64_bytes if wire.form == "base64" else instance_of(bytes)


def _bit(value: Any) -> str:
    return "1" if instance_of(bool)(value) else "0"


def _bits(length: int, bytes_of: Reader) -> Reader:
    def read(value: Any) -> str:
        digits = f"{int.from_bytes(bytes_of(value), 'little'):0{length}b}"
        if len(digits) > length:
            raise UnreadableRecord(f"more than {length} bits")
        return digits

    return read


def _array_reader(wire: WireType, column: ColumnType, item: ColumnType, decimals: DecimalPolicy) -> Reader:
    if wire.form == "string" and wire.name == WIRE_NAME:
        return _array_text(item)
    if wire.form == "array" and wire.item is not None and column.is_sent_as_list:
        return _list(value_reader(wire.item, item, decimals), _array_text(item))
    raise WireTypeRefused(f"sent as {wire.name or wire.form}")


def _array_text(item: ColumnType) -> Reader:
    read_item = item_reader(item)

    def read(value: Any) -> list[Any]:
        return items_of(string(value), read_item)

    return read


def _list(item: Reader, text: Reader) -> Reader:
    """Return a reader of lists. It accepts array text too, because JSON without a schema has no distinction."""

    def read(value: Any) -> Any:
        if isinstance(value, str):
            return text(value)
        if not isinstance(value, list):
            raise UnreadableRecord("not a list")
        if any(isinstance(element, str) and _LOST.fullmatch(element) for element in value):
            raise UnreadableRecord("an array of several dimensions, which is lost without the connector's `converters`")
        return [None if element is None else item(element) for element in value]

    return read

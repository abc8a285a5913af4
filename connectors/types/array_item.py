"""Items of an array as PostgreSQL prints them, parsed one at a time."""

import json
import re
from collections.abc import Callable
from typing import Any

from connectors.errors import UnreadableRecord, UnsupportedType
from connectors.types.iso8601 import MalformedTime, parse_date, parse_timestamp
from connectors.types.numeric import decimal_text
from connectors.types.pg_types import DATE_INFINITY, TIMESTAMP_INFINITY, ColumnType, TypeKind
from connectors.types.primitives import integer
from connectors.types.timestamps import stored_us

_BOOLEANS = {"t": True, "f": False}
_INFINITIES = {"infinity": 1, "-infinity": -1}
_MOMENT = re.compile(r"(\d+)-(\d\d-\d\d)(?: (\d\d:\d\d:\d\d(?:\.\d{1,6})?))?([+-]\d\d(?::\d\d){0,2})?( BC)?", re.ASCII)
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)(?:, )?', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def item_reader(column: ColumnType) -> Callable[[str], Any]:
    """Return the function that parses an item of this type.

    Raises:
        UnsupportedType: the PostgreSQL text of this type is not supported.
    """
    match column.kind:
        case TypeKind.INTEGER:
            return _integer(integer(column.arrow.bit_width))
        case TypeKind.FLOAT:
            return _float
        case TypeKind.BOOLEAN:
            return _boolean
        case TypeKind.NUMERIC:
            return lambda text: decimal_text(text, column.scale)
        case TypeKind.TEXT | TypeKind.BITS:
            return lambda text: text
        case TypeKind.TIME:
            return _time
        case TypeKind.BYTES:
            return _bytes
        case TypeKind.HSTORE:
            return _hstore
        case TypeKind.DATE:
            return _date
        case TypeKind.TIMESTAMP | TypeKind.TIMESTAMPTZ:
            return _timestamp
    raise UnsupportedType(f"an array of {column.kind.name}")


def _integer(checked: Callable[[Any], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return checked(int(text))
        except ValueError as error:
            raise UnreadableRecord("not an integer") from error

    return read


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UnreadableRecord("not a floating-point number") from error


def _boolean(text: str) -> bool:
    if text not in _BOOLEANS:
        raise UnreadableRecord("not a boolean")
    return _BOOLEANS[text]


def _bytes(text: str) -> bytes:
    if not text.startswith("\\x"):
        raise UnreadableRecord("bytes that are not hexadecimal: set bytea_output = 'hex' in the database")
    try:
        return bytes.fromhex(text[2:])
    except ValueError as error:
        raise UnreadableRecord("not hexadecimal") from error


def _hstore(text: str) -> str:
    pairs: dict[str, str | None] = {}
    place = 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            raise UnreadableRecord("not an hstore as PostgreSQL prints it")
        name, value = pair.groups()
        pairs[_ESCAPED.sub(r"\1", name)] = None if value is None else _ESCAPED.sub(r"\1", value)
        place = pair.end()
    return json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))


def _date(text: str) -> int:
    if text in _INFINITIES:
        return _INFINITIES[text] * DATE_INFINITY
    return _counted(text, parse_date)


def _time(text: str) -> int:
    # A time is parsed as a time of the first day of 1970.
    return _counted(f"1970-01-01 {text}", parse_timestamp)


def _timestamp(text: str) -> int:
    if text in _INFINITIES:
        return _INFINITIES[text] * TIMESTAMP_INFINITY
    return stored_us(_counted(text, parse_timestamp))


def _counted(text: str, count: Callable[[str], int]) -> int:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise UnreadableRecord("not a date or timestamp as PostgreSQL prints it")
    printed, day, clock, offset, era = found.groups()
    year = 1 - int(printed) if era else int(printed)
    iso = f"{'-' if year < 0 else '+'}{abs(year):04}-{day}"
    if clock:
        iso += f"T{clock}"
    if offset:
        iso += offset if ":" in offset else f"{offset}:00"
    try:
        return count(iso)
    except MalformedTime as error:
        raise UnreadableRecord(str(error)) from error

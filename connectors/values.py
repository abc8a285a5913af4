"""One value at a time: the exact reading of every form, and the measure of the fast one in `connectors.arrays`."""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from enum import Enum, auto
from typing import Any

from connectors.calendar import MalformedTime, days_of, time_us_of, timestamp_us_of
from connectors.errors import BadRecord, InexactDecimal, ScaleExceeded, WireTypeRefused
from connectors.types import DATE_INFINITY, TIMESTAMP_INFINITY, ColumnType, Kind
from connectors.wire import Wire

Reader = Callable[[Any], Any]
"""Turns a value that is not null into what its Arrow array is built from; raises BadRecord."""


class Decimals(Enum):
    """Whether a numeric may travel as a double, which cannot hold every amount."""

    EXACT = auto()
    ALLOW_DOUBLE = auto()


_TIMES: dict[Kind, dict[str, int]] = {
    Kind.TIME: {
        "io.debezium.time.Time": 1_000,
        "org.apache.kafka.connect.data.Time": 1_000,
        "io.debezium.time.MicroTime": 1,
        "io.debezium.time.NanoTime": -1_000,
    },
    Kind.TIMESTAMP: {
        "io.debezium.time.Timestamp": 1_000,
        "org.apache.kafka.connect.data.Timestamp": 1_000,
        "io.debezium.time.MicroTimestamp": 1,
        "io.debezium.time.NanoTimestamp": -1_000,
    },
}

_DATES = frozenset({"io.debezium.time.Date", "org.apache.kafka.connect.data.Date"})

_ISO = {
    Kind.DATE: ("io.debezium.time.IsoDate", days_of),
    Kind.TIME: ("io.debezium.time.IsoTime", time_us_of),
    Kind.TIMESTAMP: ("io.debezium.time.IsoTimestamp", timestamp_us_of),
    Kind.TIMESTAMPTZ: ("io.debezium.time.ZonedTimestamp", timestamp_us_of),
}

INFINITE_DAYS = {-2_147_472_692: DATE_INFINITY, -2_147_472_691: -DATE_INFINITY}
"""What Debezium makes of an infinite date: the driver's far-off milliseconds, overflowed into days."""

INFINITE_US = {9_223_372_036_825_200_000: TIMESTAMP_INFINITY, -9_223_372_036_832_400_000: -TIMESTAMP_INFINITY}
"""The PostgreSQL driver's DATE_POSITIVE_INFINITY and DATE_NEGATIVE_INFINITY, which Debezium takes for microseconds."""

_INFINITE_TEXT = {"infinity": 1, "-infinity": -1}

_SPECIAL_NUMBERS = {
    "nan": "NaN",
    "infinity": "Infinity",
    "-infinity": "-Infinity",
    "positive_infinity": "Infinity",
    "negative_infinity": "-Infinity",
}
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,6})?", re.ASCII)
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def time_unit_us(wire: Wire, column: ColumnType) -> int | None:
    """Say how many microseconds one unit counts: 1, 1000, or -1000 where 1000 units make one; None if it is text.

    Raises:
        WireTypeRefused: the unit is coarser than the column.
    """
    unit = _TIMES.get(column.kind, {}).get(wire.name or "") if wire.form in ("int", "long") else None
    if unit == 1_000 and column.fraction_digits > 3:
        raise WireTypeRefused(f"sent in milliseconds, but declared with {column.fraction_digits} digits of a second")
    return unit


def value_reader(wire: Wire, column: ColumnType, decimals: Decimals) -> Reader:  # noqa: PLR0912 - one table
    """Make the function that reads this column's values in this form.

    Raises:
        WireTypeRefused: the form cannot carry the type exactly.
    """
    match column.kind, wire.form:
        case Kind.INTEGER, "int" | "long" if wire.name is None:
            return _integer(column.arrow.bit_width)
        case Kind.FLOAT, "float":
            return _float
        case Kind.FLOAT, "double" if column.arrow.bit_width == 64:
            return _float
        case Kind.BOOLEAN, "boolean":
            return _instance_of(bool)
        case ((Kind.TEXT | Kind.HSTORE), "string"):
            return _text
        case Kind.HSTORE, "map":
            return _object_text
        case Kind.BYTES, "bytes" if wire.name is None:
            return _instance_of(bytes)
        case Kind.BYTES, "base64" if wire.name is None:
            return _base64
        case Kind.BITS, "boolean" if column.scale == 1:
            return _bit
        case Kind.BITS, "bytes" | "base64":
            return _bits(column.scale or 1, _base64 if wire.form == "base64" else _instance_of(bytes))
        case Kind.NUMERIC, _:
            return _numeric(wire, column.scale, decimals)
        case Kind.DATE, "int" if wire.name in _DATES:
            return _days
        case ((Kind.TIME | Kind.TIMESTAMP), "int" | "long") if (unit := time_unit_us(wire, column)) is not None:
            return _counted(unit, column.kind)
        case ((Kind.DATE | Kind.TIME | Kind.TIMESTAMP | Kind.TIMESTAMPTZ), "string") if (
            wire.name == _ISO[column.kind][0]
        ):
            return _iso(column.kind)
        case Kind.ARRAY, "array" if column.item is not None and wire.item is not None:
            return _list(value_reader(wire.item, column.item, decimals))
    raise WireTypeRefused(f"sent as {wire.name or wire.form}, which does not carry {column.kind.name.lower()} exactly")


def _instance_of(expected: type) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, expected):
            raise BadRecord(f"not a {expected.__name__}")
        return value

    return read


_text = _instance_of(str)


def _integer(bits: int) -> Reader:
    limit = 1 << (bits - 1)

    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not -limit <= value < limit:
            raise BadRecord(f"not an integer of {bits} bits")
        return int(value)

    return read


def _float(value: Any) -> float:
    """Read a float; JSON has no literal for the special ones and sends them as text."""
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise BadRecord("not a floating-point number")


def _object_text(value: Any) -> str:
    if not isinstance(value, dict):
        raise BadRecord("not a map")
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _base64(value: Any) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRecord("not base64") from error


def _bit(value: Any) -> str:
    return "1" if _instance_of(bool)(value) else "0"


def _bits(length: int, bytes_of: Reader) -> Reader:
    def read(value: Any) -> str:
        digits = f"{int.from_bytes(bytes_of(value), 'little'):0{length}b}"
        if len(digits) > length:
            raise BadRecord(f"more than {length} bits")
        return digits

    return read


def _days(value: Any) -> int:
    days: int = _integer(32)(value)
    return INFINITE_DAYS.get(days, days)


def _counted(unit: int, kind: Kind) -> Reader:
    """Read a count of units since 1970, or since midnight, as microseconds."""

    def read(value: Any) -> int:
        count: int = _integer(64)(value)
        us, rest = (count * unit, 0) if unit > 0 else divmod(count, -unit)
        if kind is Kind.TIMESTAMP:
            # A column of milliseconds gets the driver's constant divided by a thousand.
            us = INFINITE_US.get(us, us)
        elif not 0 <= us <= 86_400_000_000:
            raise BadRecord("not a time of day")
        if rest or not -TIMESTAMP_INFINITY <= us <= TIMESTAMP_INFINITY:
            raise BadRecord("not a time in whole microseconds")
        return us

    return read


def _iso(kind: Kind) -> Reader:
    parse = _ISO[kind][1]
    infinity = DATE_INFINITY if kind is Kind.DATE else TIMESTAMP_INFINITY

    def read(value: Any) -> int:
        text = _text(value)
        if text in _INFINITE_TEXT and kind is not Kind.TIME:
            return _INFINITE_TEXT[text] * infinity
        try:
            count = parse(text)
        except MalformedTime as error:
            raise BadRecord(str(error)) from error
        if not -infinity < count < infinity:
            raise BadRecord("a time beyond what 64 bits of microseconds hold")
        return count

    return read


def _list(item: Reader) -> Reader:
    def read(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise BadRecord("not a list")
        return [None if element is None else item(element) for element in value]

    return read


def _numeric(wire: Wire, scale: int | None, decimals: Decimals) -> Reader:
    match wire.form, wire.name:
        case "string", _:
            number = _number_of_text if wire.scale is None else _number_of_text_with(wire.scale)
        case "double", _ if decimals is Decimals.ALLOW_DOUBLE:
            number = _number_of_double
        case "double", _:
            raise InexactDecimal("a numeric sent as a double")
        case (("bytes" | "base64"), "org.apache.kafka.connect.data.Decimal") if wire.scale is not None:
            number = _number_of_bytes(wire.scale, wire.form)
        case "record", "io.debezium.data.VariableScaleDecimal":
            number = _number_of_variable_scale
        case _:
            raise WireTypeRefused(f"sent as {wire.name or wire.form}, which does not carry a numeric exactly")

    def read(value: Any) -> str:
        return _plain(number(value), scale)

    return read


def _number_of_text(value: Any) -> Decimal:
    text = _text(value)
    special = _SPECIAL_NUMBERS.get(text.lower())
    if special is None and _NUMBER.fullmatch(text) is None:
        raise BadRecord("not a number")
    return Decimal(special or text)


def _number_of_text_with(scale: int) -> Reader:
    """Insist on the scale: without a schema, the digits of a base64 decimal would pass for a number."""

    def read(value: Any) -> Decimal:
        number = _number_of_text(value)
        if number.is_finite() and number.as_tuple().exponent != -scale:
            raise BadRecord(f"not a decimal text of scale {scale}")
        return number

    return read


def _number_of_double(value: Any) -> Decimal:
    number = _float(value)
    return Decimal(repr(number + 0.0)) if math.isfinite(number) else Decimal(number)


def _number_of_bytes(scale: int, form: str) -> Reader:
    bytes_of = _base64 if form == "base64" else _instance_of(bytes)

    def read(value: Any) -> Decimal:
        return _EXACT.scaleb(Decimal(int.from_bytes(bytes_of(value), "big", signed=True)), -scale)

    return read


def _number_of_variable_scale(value: Any) -> Decimal:
    if not isinstance(value, dict) or not isinstance(value.get("scale"), int):
        raise BadRecord("not a decimal with its scale")
    unscaled = value.get("value")
    form = "base64" if isinstance(unscaled, str) else "bytes"
    number: Decimal = _number_of_bytes(value["scale"], form)(unscaled)
    return number


def _plain(number: Decimal, scale: int | None) -> str:
    """Write a number without an exponent, and with exactly `scale` digits after the point where there is a scale."""
    if not number.is_finite():
        return {"NaN": "NaN", "Infinity": "Infinity"}.get(str(number), "-Infinity")
    if scale is None:
        return f"{number:f}"
    padded = _EXACT.quantize(number, Decimal(1).scaleb(-scale, _EXACT))
    if padded != number:
        raise ScaleExceeded(f"a numeric with more than the declared {scale} digits after its point")
    return f"{padded:f}"

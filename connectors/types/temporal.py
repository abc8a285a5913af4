"""Dates and times in every wire form of Debezium, converted one at a time to counts since 1970 or since midnight."""

from typing import Any

from connectors.errors import UnreadableRecord, WireTypeRefused
from connectors.types.iso8601 import MalformedTime, parse_date, parse_timestamp
from connectors.types.pg_types import DATE_INFINITY, TIMESTAMP_INFINITY, ColumnType, TypeKind
from connectors.types.primitives import Reader, integer, string
from connectors.types.timestamps import EARLIEST_US, LATEST_US, TURN, stored_us
from connectors.types.wire_types import WireType

_TIMES: dict[TypeKind, dict[str, int]] = {
    TypeKind.TIME: {
        "io.debezium.time.Time": 1_000,
        "org.apache.kafka.connect.data.Time": 1_000,
        "io.debezium.time.MicroTime": 1,
        "io.debezium.time.NanoTime": -1_000,
    },
    TypeKind.TIMESTAMP: {
        "io.debezium.time.Timestamp": 1_000,
        "org.apache.kafka.connect.data.Timestamp": 1_000,
        "io.debezium.time.MicroTimestamp": 1,
        "readmodels.PostgresTimestamp": 1,
        "io.debezium.time.NanoTimestamp": -1_000,
    },
}

_DATES = frozenset({"io.debezium.time.Date", "org.apache.kafka.connect.data.Date"})

# io.debezium.time.IsoTime is not supported: 24:00:00 arrives as 00:00:00 in it.
_ISO = {
    TypeKind.DATE: ("io.debezium.time.IsoDate", parse_date),
    TypeKind.TIMESTAMP: ("io.debezium.time.IsoTimestamp", parse_timestamp),
    TypeKind.TIMESTAMPTZ: ("io.debezium.time.ZonedTimestamp", parse_timestamp),
}

INFINITE_DAYS = {
    -2_147_472_692: DATE_INFINITY,
    -2_147_472_691: -DATE_INFINITY,
    -622_191_234: DATE_INFINITY,
    -625_821_272: -DATE_INFINITY,
    106_751_991_166: DATE_INFINITY,
    106_748_361_128: -DATE_INFINITY,
}
"""Days that Debezium 3.6.1 sends for an infinite date, as recorded in tests/golden.

In this order: in streamed changes; in arrays and snapshot rows; and the same as ISO text, which does not overflow.
PostgreSQL's own dates are between -2,440,588 and 2,145,031,948.
"""

INFINITE_US = {9_223_372_036_825_200_000: TIMESTAMP_INFINITY, -9_223_372_036_832_400_000: -TIMESTAMP_INFINITY}
"""DATE_POSITIVE_INFINITY and DATE_NEGATIVE_INFINITY of the PostgreSQL driver, which Debezium sends as microseconds."""

_INFINITE_TEXT = {"infinity": 1, "-infinity": -1, "+292269055-12-02T23:00:00.000000Z": -1}
"""Texts that Debezium 3.6.1 sends for an infinite timestamptz; the last one in arrays only."""


TIMESTAMP_WIRE_NAME = "readmodels.PostgresTimestamp"
"""Schema name with which the converter of deploy/converter sends a timestamp."""


def time_unit_us(wire: WireType, column: ColumnType) -> int | None:
    """Return the microseconds per unit: 1, 1000, or -1000 if 1000 units are one microsecond; None if it is text.

    Raises:
        WireTypeRefused: the unit is coarser than the column.
    """
    unit = _TIMES.get(column.kind, {}).get(wire.name or "") if wire.form in ("int", "long") else None
    if unit == 1_000 and column.fraction_digits > 3:
        raise WireTypeRefused(f"sent in milliseconds, but declared with {column.fraction_digits} digits of a second")
    return unit


def time_reader(wire: WireType, column: ColumnType) -> Reader:
    """Return the function that reads a date, a time of day or a timestamp in this wire form.

    Raises:
        WireTypeRefused: the form does not preserve every value.
    """
    if column.kind is TypeKind.DATE and wire.form == "int" and wire.name in _DATES:
        return _days
    unit = time_unit_us(wire, column)
    if unit is not None:
        return _counted(unit, column.kind, is_modular=wire.name == TIMESTAMP_WIRE_NAME)
    if column.kind in _ISO and (wire.form, wire.name) == ("string", _ISO[column.kind][0]):
        return _iso(column.kind)
    raise WireTypeRefused(f"sent as {wire.name or wire.form}")


def _days(value: Any) -> int:
    days: int = integer(32)(value)
    return INFINITE_DAYS.get(days, days)


def _counted(unit: int, kind: TypeKind, *, is_modular: bool) -> Reader:
    """Return a reader that converts a count of units since 1970, or since midnight, to microseconds.

    Args:
        is_modular: a count beyond 64 bits is sent modulo 2**64, and not as another number.
    """

    def read(value: Any) -> int:
        count: int = integer(64)(value)
        us, rest = (count * unit, 0) if unit > 0 else divmod(count, -unit)
        if kind is TypeKind.TIMESTAMP:
            # A column of milliseconds gets the driver's constant divided by a thousand.
            if us in INFINITE_US:
                return INFINITE_US[us]
            us = us + TURN if is_modular and us < EARLIEST_US else us
        elif not 0 <= us <= 86_400_000_000:
            raise UnreadableRecord("not a time of day")
        if rest or not EARLIEST_US <= us <= LATEST_US:
            raise UnreadableRecord("not a time that PostgreSQL has, in whole microseconds")
        return stored_us(us)

    return read


def _iso(kind: TypeKind) -> Reader:
    parse = _ISO[kind][1]
    infinity = DATE_INFINITY if kind is TypeKind.DATE else TIMESTAMP_INFINITY
    # A timestamptz is infinite only as a text of its own, never by its count.
    infinite = {TypeKind.DATE: INFINITE_DAYS, TypeKind.TIMESTAMP: INFINITE_US}.get(kind, {})

    def read(value: Any) -> int:
        text = string(value)
        if text in _INFINITE_TEXT:
            return _INFINITE_TEXT[text] * infinity
        try:
            count = parse(text)
        except MalformedTime as error:
            raise UnreadableRecord(str(error)) from error
        if count in infinite:
            return infinite[count]
        if kind is TypeKind.DATE:
            days: int = integer(32)(count)
            return days
        if not EARLIEST_US <= count <= LATEST_US:
            raise UnreadableRecord("a time that PostgreSQL does not have")
        return stored_us(count)

    return read

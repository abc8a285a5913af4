"""Exact conversion of Arrow columns to JSON text: no number passes through a float, and no row through Python.

A numeric becomes a string with the exact decimal. A timestamp with time zone becomes ISO 8601 in UTC with microseconds.
jsonb is unchanged, bytea becomes base64. A value without a JSON number, such as NaN or infinity, becomes its name as a
string.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connectors.envelope import NESTED
from connectors.types.array_item import item_reader
from connectors.types.array_text import items_of, nested_places
from connectors.types.pg_types import DATE_INFINITY, TIMESTAMP_INFINITY, parse_column_type
from connectors.types.timestamps import us_of
from sinks.pg_type import parse_pg_type

_LATEST_PLAIN_US = 253_402_300_799_999_999
_EARLIEST_PLAIN_US = -62_135_596_800_000_000
_DAY_US = 86_400_000_000
_LATEST_PLAIN_DAY = _LATEST_PLAIN_US // _DAY_US
_EARLIEST_PLAIN_DAY = _EARLIEST_PLAIN_US // _DAY_US
_NULL = pa.scalar("null")


def rows_to_json(rows: pa.StructArray, columns: Mapping[str, str], fields: Mapping[str, str] | None = None) -> pa.Array:
    """Convert each row to a JSON object. A null row becomes null.

    Args:
        rows: a struct of the columns.
        columns: the PostgreSQL type of every column.
        fields: the columns that the object has, and the name of each in it; None for all, under their own names.
    """
    fields = {name: name for name in columns} if fields is None else fields
    pieces: list[pa.Array | pa.Scalar] = []
    nested = nested_arrays(struct_field(rows, NESTED), columns) if rows.type.get_field_index(NESTED) >= 0 else {}
    for name, shown in fields.items():
        label = ("," if pieces else "{") + orjson.dumps(shown).decode() + ":"
        found = values_to_json(struct_field(rows, name), columns[name])
        if name in nested:
            found = pc.coalesce(nested[name], found)
        pieces += [pa.scalar(label), pc.coalesce(found, _NULL)]
    joined = pc.binary_join_element_wise(*pieces, pa.scalar("}"), pa.scalar(""))
    return pc.if_else(rows.is_valid(), joined, pa.scalar(None, pa.string()))


def nested_arrays(nested: pa.Array, columns: Mapping[str, str]) -> dict[str, pa.Array]:
    """Convert arrays of several dimensions to JSON text, by column. Columns without such arrays are left out.

    Args:
        nested: the field `connectors.envelope.NESTED` of rows.
        columns: the PostgreSQL type of every column.
    """
    if nested.null_count == len(nested):
        return {}
    printed = [{} if one is None else orjson.loads(one) for one in nested.to_pylist()]
    names = dict.fromkeys(name for one in printed for name in one)
    return {
        name: pa.array([_nested(one[name], columns[name]) if name in one else None for one in printed], pa.string())
        for name in names
    }


def _nested(printed: str, text: str) -> str:
    item = parse_column_type(text).item
    assert item is not None
    leaves: list[object] = []

    def place_of(value: object) -> int:
        leaves.append(value)
        return len(leaves) - 1

    places = nested_places(items_of(printed, item_reader(item)), place_of)
    counted = pa.int32() if pa.types.is_date(item.arrow) else pa.int64()
    array = pa.array(leaves, counted if pa.types.is_temporal(item.arrow) else item.arrow).cast(item.arrow)
    return _joined(places, pc.coalesce(values_to_json(array, text.partition("[")[0]), _NULL).to_pylist())


def _joined(places: list[Any], texts: list[str]) -> str:
    return f"[{','.join([_joined(one, texts) if isinstance(one, list) else texts[one] for one in places])}]"


def struct_field(rows: pa.StructArray, name: str) -> pa.Array:
    """Return one column of rows, null where the row is null. Selects by index, because Arrow parses some names as
    paths.
    """
    return pc.struct_field(rows, [rows.type.get_field_index(name)])


def values_to_json(column: pa.Array, text: str) -> pa.Array:
    """Convert each value to JSON text; null stays null.

    Args:
        text: the column's PostgreSQL type.
    """
    if pa.types.is_list(column.type):
        return _lists(column, text)
    if parse_pg_type(text).name in ("jsonb", "hstore"):
        return column
    if parse_pg_type(text).name == "json":
        return _on_one_line(column)
    if parse_pg_type(text).name == "numeric":
        # The text consists of digits, a sign and a point, or is a name such as NaN. JSON escapes none of them.
        return _quoted(column)
    return _encoder(column.type)(column)


def _lists(column: pa.ListArray, text: str) -> pa.Array:
    items = pc.coalesce(values_to_json(column.flatten(), text.partition("[")[0]), _NULL)
    lengths = pc.coalesce(pc.list_value_length(column), pa.scalar(0, pa.int32()))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, items), ",")
    enclosed = pc.binary_join_element_wise(pa.scalar("["), joined, pa.scalar("]"), pa.scalar(""))
    return pc.if_else(column.is_valid(), enclosed, pa.scalar(None, pa.string()))


def _on_one_line(column: pa.Array) -> pa.Array:
    """Replace line breaks of a `json` column, which keeps its author's layout. JSON allows them between values only."""
    return pc.replace_substring_regex(column, pattern=r"[\r\n]+", replacement=" ")


def _encoder(arrow: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    if pa.types.is_integer(arrow) or pa.types.is_boolean(arrow):
        return lambda column: column.cast(pa.string())
    if pa.types.is_floating(arrow):
        return _floats
    if pa.types.is_timestamp(arrow):
        return _timestamps
    if pa.types.is_date(arrow):
        return _dates
    if pa.types.is_time(arrow):
        return _times
    if pa.types.is_binary(arrow):
        return partial(_each, encode=partial(_base64))
    return partial(_each, encode=orjson.dumps)


def _each(column: pa.Array, encode: Callable[[object], bytes]) -> pa.Array:
    # Each distinct text is encoded once: columns such as a status or a currency repeat few values.
    distinct = column.dictionary_encode()
    encoded = pa.array(list(map(encode, distinct.dictionary.to_pylist())), pa.binary()).cast(pa.string())
    return encoded.take(distinct.indices)


def _base64(value: bytes) -> bytes:
    return b'"' + binascii.b2a_base64(value, newline=False) + b'"'


def _floats(column: pa.Array) -> pa.Array:
    names = pc.if_else(pc.is_nan(column), '"NaN"', pc.if_else(pc.greater(column, 0), '"Infinity"', '"-Infinity"'))
    return pc.if_else(pc.is_finite(column), column.cast(pa.string()), names)


def _timestamps(column: pa.Array) -> pa.Array:
    micros = column.cast(pa.int64())
    text = _plain_timestamps(column, micros)
    infinite = pc.is_in(micros, value_set=pa.array([TIMESTAMP_INFINITY, -TIMESTAMP_INFINITY]))
    return pc.if_else(infinite, _infinities(micros), text)


def _plain_timestamps(column: pa.Array, micros: pa.Array) -> pa.Array:
    zone = "Z" if column.type.tz else ""
    years = pc.and_(pc.less_equal(micros, _LATEST_PLAIN_US), pc.greater_equal(micros, _EARLIEST_PLAIN_US))
    printable = pc.if_else(years, micros, pa.scalar(None, pa.int64())).cast(pa.timestamp("us"))
    text = _quoted(pc.strftime(printable, format=f"%Y-%m-%dT%H:%M:%S{zone}"))
    if pc.all(pc.coalesce(years, pa.scalar(True))).as_py():
        return text
    return pc.coalesce(text, pa.array([_expanded_year(value, zone) for value in micros.to_pylist()], pa.string()))


def _expanded_year(micros: int | None, zone: str) -> str | None:
    """Format a year without exactly four digits in ISO 8601's expanded form: a sign and at least six digits."""
    if micros is None:
        return None
    days, rest = divmod(us_of(micros), _DAY_US)
    seconds, fraction = divmod(rest, 1_000_000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:06}"
    return f'"{_expanded_date(days)}T{clock}{zone}"'


def _expanded_date(days: int) -> str:
    year, month, day = _civil(days)
    return f"{'-' if year < 0 else '+'}{abs(year):06}-{month:02}-{day:02}"


def _civil(days: int) -> tuple[int, int, int]:
    """Convert a number of days since 1970-01-01 to a proleptic Gregorian date with a year zero.

    Source: https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    """
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def _dates(column: pa.Array) -> pa.Array:
    days = column.cast(pa.int32())
    infinite = pc.is_in(days, value_set=pa.array([DATE_INFINITY, -DATE_INFINITY], pa.int32()))
    return pc.if_else(infinite, _infinities(days), _plain_dates(days))


def _plain_dates(days: pa.Array) -> pa.Array:
    years = pc.and_(pc.less_equal(days, _LATEST_PLAIN_DAY), pc.greater_equal(days, _EARLIEST_PLAIN_DAY))
    printable = pc.if_else(years, days, pa.scalar(None, pa.int32())).cast(pa.date32())
    text = printable.cast(pa.string())
    if not pc.all(pc.coalesce(years, pa.scalar(True))).as_py():
        expanded = [None if value is None else _expanded_date(value) for value in days.to_pylist()]
        text = pc.coalesce(text, pa.array(expanded, pa.string()))
    return _quoted(text)


def _times(column: pa.Array) -> pa.Array:
    """Format times. PostgreSQL's day ends at 24:00, which Arrow cannot print."""
    micros = column.cast(pa.int64())
    ends_day = pc.equal(micros, _DAY_US)
    printable = pc.if_else(ends_day, pa.scalar(None, pa.int64()), micros).cast(column.type)
    return pc.if_else(ends_day, '"24:00:00.000000"', _quoted(printable.cast(pa.string())))


def _infinities(numbers: pa.Array) -> pa.Array:
    return pc.if_else(pc.greater(numbers, 0), '"infinity"', '"-infinity"')


def _quoted(text: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar('"'), text, pa.scalar('"'), pa.scalar(""))

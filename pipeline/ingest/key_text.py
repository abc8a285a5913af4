"""Text form of keys: the name of a document, and of a child row in it.

Each key column type has exactly one text per value. The conversion is defined here for Arrow, which builds the models,
and for PostgreSQL and DuckDB, which `verify` queries. Two values have the same text if and only if PostgreSQL considers
them equal. A type that cannot guarantee this is refused as a key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.types.timestamps import FAR_US, us_of
from sinks.pg_type import parse_pg_type

Text = Callable[[pa.Array], pa.Array]
_DAY_US = 86_400_000_000
_INTEGER = re.compile(r"0|-?[1-9]\d{0,18}", re.ASCII)
_PLAIN_YEAR = re.compile(r"(-?\d{4,7})(-\d\d-\d\d.*)", re.ASCII)


class UnfitKey(ValueError):
    """A column cannot be part of a key, or a text cannot be a key."""

    remedy = "Run `readmodels init`: it names the column, and what to do."


@dataclass(frozen=True, kw_only=True)
class KeyType:
    """Column type that is allowed in a key.

    Args:
        family: columns of the same family can refer to each other; equal values have the same text in both.
        arrow: converts values to text; null stays null.
        postgresql: SQL expression for the same text of the column `{c}`.
        duckdb: the same for DuckDB, if the column has the type that the analytics store uses for it.
        literal: converts a text to PostgreSQL's input syntax of the type.
        has_blanks: true if the text of a value can contain any number of blanks.
    """

    family: str
    arrow: Text
    postgresql: str = "{c}::text"
    duckdb: str = "{c}::VARCHAR"
    literal: Callable[[str], str] = str
    has_blanks: bool = False


def _cast(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())


def _without_zeros(column: pa.Array) -> pa.Array:
    fraction = pc.replace_substring_regex(column, pattern=r"(\.\d*[1-9])0+$", replacement=r"\1")
    return pc.replace_substring_regex(fraction, pattern=r"\.0*$", replacement="")


def _without_blanks(column: pa.Array) -> pa.Array:
    return pc.utf8_rtrim(column, characters=" ")


def _hexadecimal(column: pa.Array) -> pa.Array:
    return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())


def _calendar(unit: str, ending: str = "") -> Text:
    """Return a formatter for ISO 8601 with a blank for the `T`. The year before 0001 is 0000, the one before that
    -0001.
    """
    integer, name = (np.int32, "D") if unit == "D" else (np.int64, "us")
    last = np.iinfo(integer).max

    def write(column: pa.Array) -> pa.Array:
        counts = column.cast(pa.from_numpy_dtype(integer))
        counted = pc.fill_null(counts, 0).to_numpy(zero_copy_only=False).astype(np.int64)
        is_far = (counted >= FAR_US[0]) & (counted <= FAR_US[1]) & (name == "us")
        plain = np.where((np.abs(counted) >= last) | is_far, 0, counted)
        printed = np.datetime_as_string(plain.view(f"M8[{name}]"))
        if is_far.any():
            printed = printed.astype(object)
            printed[is_far] = [_far(int(count)) for count in counted[is_far]]
        text = pc.replace_substring(pa.array(printed, pa.string()), "T", " ")
        text = pc.replace_substring_regex(text, pattern=r"^-(\d{3})-", replacement=r"-0\1-")
        text = pc.binary_join_element_wise(text, ending, "")
        infinite = pc.if_else(pc.greater(counts, 0), "infinity", "-infinity")
        return pc.if_else(pc.greater_equal(pc.abs(counts), last), infinite, text)

    return write


def _far(stored: int) -> str:
    """Format a timestamp that does not fit into 64 bits of microseconds."""
    seconds, micros = divmod(us_of(stored), 1_000_000)
    return f"{np.datetime64(seconds, 's')}.{micros:06}"


def _times(column: pa.Array) -> pa.Array:
    """Format times. PostgreSQL's day ends at 24:00, which Arrow cannot print."""
    micros = column.cast(pa.int64())
    ends_day = pc.equal(micros, _DAY_US)
    printable = pc.if_else(ends_day, pa.scalar(None, pa.int64()), micros).cast(column.type)
    return pc.if_else(ends_day, "24:00:00.000000", printable.cast(pa.string()))


def _before_christ(text: str) -> str:
    """Convert a text to PostgreSQL's input syntax, which has no year 0."""
    matched = _PLAIN_YEAR.fullmatch(text)
    if matched is None or int(matched[1]) > 0:
        return text
    return f"{1 - int(matched[1]):04}{matched[2]} BC"


_BC_YEAR = (
    "CASE WHEN extract(year FROM {c}) < -1 THEN '-' ELSE '' END || lpad(abs(extract(year FROM {c}) + 1)::text, 4, '0')"
)
_DATE = f"""CASE WHEN {{c}} >= '0001-01-01' OR NOT isfinite({{c}}) THEN {{c}}::text
    ELSE {_BC_YEAR} || substring({{c}}::text FROM '-\\d\\d-\\d\\d') END"""
_TIMESTAMP = f"""CASE WHEN NOT isfinite({{c}}) THEN {{c}}::text
    WHEN {{c}} >= '0001-01-01' THEN to_char({{c}}, 'YYYY-MM-DD HH24:MI:SS.US{{zone}}')
    ELSE {_BC_YEAR} || to_char({{c}}, '-MM-DD HH24:MI:SS.US{{zone}}') END"""
_PLAIN_TIMESTAMP = _TIMESTAMP.replace("{zone}", "")
_UTC_TIMESTAMP = _TIMESTAMP.replace("{zone}", '"Z"').replace("{c}", "({c} AT TIME ZONE 'UTC')")
_DUCKDB_CALENDAR = """CASE WHEN NOT isfinite({c}) THEN {c}::VARCHAR
    ELSE CASE WHEN year({u}) < 0 THEN '-' ELSE '' END
         || lpad(abs(year({u}))::VARCHAR, greatest(4, length(abs(year({u}))::VARCHAR))::INTEGER, '0')
         || strftime({u}, '-%m-%d{clock}') END"""
_DUCKDB_TIMESTAMP = _DUCKDB_CALENDAR.replace("{clock}", " %H:%M:%S.%f{zone}")

_NUMBER = KeyType(family="number", arrow=_cast)
_TEXT = KeyType(family="text", arrow=_cast, has_blanks=True)
_ADDRESS = KeyType(family="inet", arrow=_cast, postgresql="CASE WHEN {c} IS NOT NULL THEN concat({c}) END")
"""Key type of addresses. `{c}::text` would append /32 to a host address."""

_TYPES: Mapping[str, KeyType] = {
    **dict.fromkeys(("smallint", "integer", "bigint", "oid"), _NUMBER),
    "numeric": replace(
        _NUMBER,
        arrow=_without_zeros,
        postgresql="trim_scale({c})::text",
        # A DECIMAL has no NaN, and key columns are never NULL otherwise.
        # DuckDB writes a DECIMAL whose digits are all after the point without the zero before it.
        duckdb=r"coalesce(regexp_replace(regexp_replace(regexp_replace({c}::VARCHAR, '^(-?)\.', '\10.'),"
        r" '(\.\d*[1-9])0+$', '\1'), '\.0*$', ''), 'NaN')",
    ),
    "boolean": KeyType(family="boolean", arrow=_cast),
    **dict.fromkeys(("text", "varchar"), _TEXT),
    "char": replace(_TEXT, arrow=_without_blanks, duckdb="rtrim({c}, ' ')"),
    "uuid": KeyType(family="uuid", arrow=_cast),
    "bytea": KeyType(
        family="bytea",
        arrow=_hexadecimal,
        postgresql="encode({c}, 'hex')",
        duckdb="lower(hex({c}))",
        literal=r"\x".__add__,
    ),
    "bit": KeyType(family="bit", arrow=_cast),
    "inet": _ADDRESS,
    "cidr": replace(_ADDRESS, family="cidr"),
    "macaddr": KeyType(family="macaddr", arrow=_cast),
    "macaddr8": KeyType(family="macaddr8", arrow=_cast),
    "date": KeyType(
        family="date",
        arrow=_calendar("D"),
        postgresql=_DATE,
        duckdb=_DUCKDB_CALENDAR.replace("{u}", "{c}").replace("{clock}", ""),
        literal=_before_christ,
    ),
    "time": KeyType(
        family="time",
        arrow=_times,
        postgresql="to_char({c}::interval, 'HH24:MI:SS.US')",
        duckdb="CASE WHEN {c} = '24:00:00' THEN '24:00:00.000000'"
        " ELSE strftime(DATE '2000-01-01' + {c}, '%H:%M:%S.%f') END",
    ),
    "timestamp": KeyType(
        family="timestamp",
        arrow=_calendar("us"),
        postgresql=_PLAIN_TIMESTAMP,
        duckdb=_DUCKDB_TIMESTAMP.replace("{u}", "{c}").replace("{zone}", ""),
        literal=_before_christ,
    ),
    "timestamptz": KeyType(
        family="timestamptz",
        arrow=_calendar("us", "Z"),
        postgresql=_UTC_TIMESTAMP,
        duckdb=_DUCKDB_TIMESTAMP.replace("{u}", "make_timestamp(epoch_us({c}))").replace("{zone}", "Z"),
        literal=_before_christ,
    ),
}

_REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("real", "double precision"), "0 equals -0, and stores write its numbers in different ways"),
    "money": "its text depends on lc_monetary",
    "interval": "24:00:00 equals 1 day",
    "timetz": "the connector does not send its zone",
    "jsonb": "1.0 equals 1.00 in it",
    "citext": "texts that differ in case are equal",
}


def key_type(text: str, *, is_enum: bool = True) -> KeyType:
    """Return the key type for a PostgreSQL type.

    Args:
        is_enum: whether a name that is not one of PostgreSQL's own common types is an enum. Its text is the label;
            `init`
            asks the source whether it is one.

    Raises:
        UnfitKey: the type cannot be part of a key.
    """
    kind = parse_pg_type(text)
    if kind.is_array:
        raise UnfitKey("equal arrays need not have the same text")
    if kind.name in _TYPES:
        return _TYPES[kind.name]
    if kind.name in _REFUSED or not is_enum:
        raise UnfitKey(_REFUSED.get(kind.name, "equal values need not have the same text"))
    return KeyType(family=kind.name, arrow=_cast, has_blanks=True)


def key_text(values: Sequence[pa.ChunkedArray], types: Sequence[str]) -> pa.ChunkedArray:
    """Return documents' keys: the columns' texts, joined by `:` if there are several; null if one of them is null.

    Args:
        values: one column per key column.
        types: the PostgreSQL type of each.
    """
    return _joined(_texts(values, types), ":", is_escaped=True)


def part_text(values: Sequence[pa.ChunkedArray], types: Sequence[str]) -> pa.ChunkedArray:
    """Return child rows' keys as used in part names. Integers are padded, so that they sort numerically."""
    texts = [
        _sortable(column) if pa.types.is_integer(column.type) else text
        for column, text in zip(values, _texts(values, types), strict=True)
    ]
    return _joined(texts, " ", is_escaped=is_part_escaped(types))


def is_part_escaped(types: Sequence[str]) -> bool:
    """Return whether blanks in a child row's key are escaped: true if two of its texts can contain any number of
    blanks.
    """
    return sum(key_type(text).has_blanks for text in types) > 1


def columns_of(key: str, count: int) -> list[str]:
    """Split a document's key into the texts of its columns.

    Raises:
        UnfitKey: the key does not have that many columns.
    """
    if count == 1:
        return [key]
    texts = [
        re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
        for text in re.findall(r"(?:^|:)((?:[^\\:]|\\.)*)", key, re.DOTALL)
    ]
    if len(texts) != count:
        raise UnfitKey(f"it has not the {count} columns of a key")
    return texts


def integer_of(text: str) -> int | None:
    """Parse a canonical integer in the range of bigint. Return None if the text is not one."""
    if _INTEGER.fullmatch(text) is None or not -(2**63) <= int(text) < 2**63:
        return None
    return int(text)


def _texts(values: Sequence[pa.ChunkedArray], types: Sequence[str]) -> list[pa.ChunkedArray]:
    return [
        pa.chunked_array([key_type(text).arrow(chunk) for chunk in column.chunks], pa.string())
        for column, text in zip(values, types, strict=True)
    ]


def _joined(texts: Sequence[pa.ChunkedArray], separator: str, *, is_escaped: bool) -> pa.ChunkedArray:
    if len(texts) == 1:
        return texts[0]
    if is_escaped:
        texts = [
            pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), separator, f"\\{separator}")
            for text in texts
        ]
    return pc.binary_join_element_wise(*texts, separator)


def _sortable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    shifted = column.cast(pa.int64()).to_numpy().astype(np.int64).view(np.uint64) ^ np.uint64(2**63)
    return pa.chunked_array([pc.utf8_lpad(pa.array(shifted).cast(pa.string()), 20, "0")])

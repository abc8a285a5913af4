"""Tests that every type's JSON text is exactly the column's value."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.types.pg_types import DATE_INFINITY, TIMESTAMP_INFINITY, parse_column_type
from pipeline.ingest.json_text import rows_to_json, values_to_json

EPOCH = datetime(1970, 1, 1)
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def text_of(value: object, text: str) -> str | None:
    """Return one value of a PostgreSQL type as JSON text."""
    (written,) = values_to_json(pa.array([value], parse_column_type(text).arrow), text).to_pylist()
    return None if written is None else str(written)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("smallint", -32_768, "-32768"),
        ("bigint", 2**63 - 1, "9223372036854775807"),
        ("bigint", -(2**63), "-9223372036854775808"),
        ("boolean", True, "true"),
        ("boolean", False, "false"),
        ("numeric(12,2)", "12.30", '"12.30"'),
        ("numeric(12,2)", "NaN", '"NaN"'),
        ("numeric", "-0.00000000000000000000000000000000000000001", '"-0.00000000000000000000000000000000000000001"'),
        ("numeric", "Infinity", '"Infinity"'),
        ("double precision", 0.1, "0.1"),
        ("double precision", 1.0, "1"),
        ("double precision", 5e-324, "5e-324"),
        ("double precision", float("nan"), '"NaN"'),
        ("double precision", float("inf"), '"Infinity"'),
        ("double precision", float("-inf"), '"-Infinity"'),
        ("real", 16_777_216.0, "16777216"),
        ("text", 'quo"te \\ \n \u2028 \x01 🎁 é', '"quo\\"te \\\\ \\n \u2028 \\u0001 🎁 é"'),
        ("text", "", '""'),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'),
        ("bytea", b"\x00\xff", '"AP8="'),
        ("bytea", b"", '""'),
        ("jsonb", '{"a": 123456789012345678901234567890.10}', '{"a": 123456789012345678901234567890.10}'),
        ("jsonb", "null", "null"),
        ("json", '{"b":\r\n 1,\n"a": 2}', '{"b":  1, "a": 2}'),
        ("date", 0, '"1970-01-01"'),
        ("date", 2_932_896, '"9999-12-31"'),
        ("date", 2_932_897, '"+010000-01-01"'),
        ("date", -719_162, '"0001-01-01"'),
        ("date", -719_163, '"+000000-12-31"'),
        ("date", -2_440_588, '"-004713-11-24"'),
        ("date", 2_145_042_905, '"+5874897-12-31"'),
        ("date", DATE_INFINITY, '"infinity"'),
        ("date", -DATE_INFINITY, '"-infinity"'),
        ("time", 0, '"00:00:00.000000"'),
        ("time", 86_399_999_999, '"23:59:59.999999"'),
        ("time", DAY_US, '"24:00:00.000000"'),
        ("timestamp", 0, '"1970-01-01T00:00:00.000000"'),
        ("timestamp with time zone", 1, '"1970-01-01T00:00:00.000001Z"'),
        ("timestamp with time zone", -62_135_596_800_000_000, '"0001-01-01T00:00:00.000000Z"'),
        ("timestamp with time zone", 253_402_300_799_999_999, '"9999-12-31T23:59:59.999999Z"'),
        ("timestamp with time zone", 253_402_300_800_000_000, '"+010000-01-01T00:00:00.000000Z"'),
        ("timestamp", -62_135_596_800_000_001, '"+000000-12-31T23:59:59.999999"'),
        ("timestamp", -377_705_116_800_000_000, '"-009999-01-01T00:00:00.000000"'),
        ("timestamp with time zone", TIMESTAMP_INFINITY, '"infinity"'),
        ("timestamp with time zone", -TIMESTAMP_INFINITY, '"-infinity"'),
        ("bigint[]", [1, None, 3], "[1,null,3]"),
        ("bigint[]", [], "[]"),
        ("numeric(12,2)[]", ["1.00", "NaN"], '["1.00","NaN"]'),
        ("text[]", ['a"b', None, ","], '["a\\"b",null,","]'),
        ("jsonb[]", ['{"a":1}', None, "null"], '[{"a":1},null,null]'),
        ("bytea[]", [b"\x00", None], '["AA==",null]'),
        ("date[]", [DATE_INFINITY, 2_932_897], '["infinity","+010000-01-01"]'),
    ],
)
def test_a_value_is_written_exactly(text: str, value: object, expected: str) -> None:
    assert text_of(value, text) == expected


@pytest.mark.parametrize("text", ["bigint", "numeric", "real", "text", "bytea", "jsonb", "json", "date", "time"])
def test_a_null_stays_null_beside_values(text: str) -> None:
    kind = parse_column_type(text).arrow
    assert values_to_json(pa.nulls(2, kind), text).to_pylist() == [None, None]
    assert values_to_json(pa.array([], kind), text).to_pylist() == []


@pytest.mark.parametrize("text", ["timestamp", "timestamptz", "bigint[]", "jsonb[]", "uuid", "boolean"])
def test_a_column_of_nulls_stays_one(text: str) -> None:
    assert values_to_json(pa.nulls(3, parse_column_type(text).arrow), text).to_pylist() == [None] * 3


def test_lists_of_lists_keep_their_depth() -> None:
    column = pa.array([[[1, None], []], None, [None, [3]]], pa.list_(pa.list_(pa.int64())))
    assert values_to_json(column, "bigint[]").to_pylist() == ["[[1,null],[]]", None, "[null,[3]]"]


def test_a_part_of_a_column_of_lists_is_written_as_it_would_be_alone() -> None:
    column = pa.array([["a"], ["b", "c"], None, [], ["d"]], pa.list_(pa.string()))
    assert values_to_json(column.slice(1, 3), "text[]").to_pylist() == ['["b","c"]', None, "[]"]


def test_a_plain_year_is_written_plainly_beside_one_that_is_not() -> None:
    column = pa.array([0, 2_932_897, None, DATE_INFINITY], pa.date32())
    assert values_to_json(column, "date").to_pylist() == ['"1970-01-01"', '"+010000-01-01"', None, '"infinity"']


def test_a_row_is_an_object_of_its_columns_in_their_order() -> None:
    columns = {"id": "bigint", 'a"b': "text", "with.dot": "jsonb"}
    kind = pa.struct([(name, parse_column_type(text).arrow) for name, text in columns.items()])
    rows = pa.array([{"id": 1, 'a"b': "x", "with.dot": "[1]"}, None, {"id": None, 'a"b': None, "with.dot": None}], kind)
    assert rows_to_json(rows, columns).to_pylist() == [
        '{"id":1,"a\\"b":"x","with.dot":[1]}',
        None,
        '{"id":null,"a\\"b":null,"with.dot":null}',
    ]


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


@given(known=st.lists(st.none() | texts, max_size=8))
def test_any_text_reads_back_as_itself(known: list[str | None]) -> None:
    written = values_to_json(pa.array(known, pa.string()), "text").to_pylist()
    assert [None if text is None else json.loads(text) for text in written] == known


@given(known=st.lists(st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=4), max_size=8))
def test_any_decimal_reads_back_to_its_last_digit(known: list[Decimal | None]) -> None:
    texts = [None if one is None else format(one, "f") for one in known]
    written = values_to_json(pa.array(texts, pa.string()), "numeric(40,4)").to_pylist()
    assert [None if text is None else Decimal(json.loads(text)) for text in written] == known


@given(known=st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=8))
def test_any_finite_double_reads_back_as_itself(known: list[float | None]) -> None:
    written = values_to_json(pa.array(known, pa.float64()), "double precision").to_pylist()
    assert [None if text is None else float(orjson.loads(text)) for text in written] == known


@given(known=st.lists(st.none() | st.datetimes(), max_size=8))
def test_any_timestamp_of_a_four_digit_year_is_what_python_writes(known: list[datetime | None]) -> None:
    micros = pa.array(
        [None if one is None else (one - EPOCH) // timedelta(microseconds=1) for one in known], pa.int64()
    )
    utc = values_to_json(micros.cast(pa.timestamp("us", "UTC")), "timestamptz").to_pylist()
    assert utc == [None if one is None else f'"{one.isoformat(timespec="microseconds")}Z"' for one in known]
    local = values_to_json(micros.cast(pa.timestamp("us")), "timestamp").to_pylist()
    assert local == [None if one is None else f'"{one.isoformat(timespec="microseconds")}"' for one in known]
    read = [None if text is None else datetime.fromisoformat(json.loads(text)) for text in utc]
    assert read == [None if one is None else one.replace(tzinfo=UTC) for one in known]


@given(days=st.lists(st.integers(-719_162, 2_932_896), max_size=8), leap=st.integers(1, 14_000))
def test_any_date_beyond_four_digits_repeats_the_calendar_of_400_years_before(days: list[int], leap: int) -> None:
    """Check against Python's result for one calendar cycle (400 years, 146,097 days), which holds for all others."""
    plain = values_to_json(pa.array(days, pa.date32()), "date").to_pylist()
    assert plain == [f'"{date.fromordinal(719_163 + day).isoformat()}"' for day in days]
    cycles = 25 + leap
    later = values_to_json(pa.array([day + cycles * 146_097 for day in days], pa.date32()), "date").to_pylist()
    moved = [(int(text[1:5]) + 400 * cycles, text[5:]) for text in plain]
    assert later == [f'"+{year:06}{rest}' for year, rest in moved]


@given(known=st.lists(st.none() | st.times(), max_size=8))
def test_any_time_of_day_is_what_python_writes(known: list[time | None]) -> None:
    written = values_to_json(pa.array(known, pa.time64("us")), "time").to_pylist()
    assert written == [None if one is None else f'"{one.isoformat(timespec="microseconds")}"' for one in known]


@given(known=st.lists(st.none() | st.lists(st.none() | st.binary(max_size=9), max_size=4), max_size=6))
def test_any_bytes_read_back_as_themselves_in_lists_too(known: list[list[bytes | None] | None]) -> None:
    written = values_to_json(pa.array(known, pa.list_(pa.binary())), "bytea[]").to_pylist()
    read = [None if text is None else json.loads(text) for text in written]
    assert known == [
        None if row is None else [None if item is None else base64.b64decode(item) for item in row] for row in read
    ]

"""Tests of parsing arrays as PostgreSQL prints them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import UnreadableRecord
from connectors.types.array_item import item_reader
from connectors.types.array_text import WIRE_NAME, is_nested, items_of
from connectors.types.numeric import DecimalPolicy
from connectors.types.pg_types import DATE_INFINITY, TIMESTAMP_INFINITY, parse_column_type
from connectors.types.timestamps import FAR_US, LATEST_US, stored_us, us_of
from connectors.types.vectorized import ColumnReader
from connectors.types.wire_types import WireType
from sinks.duckdb import special_values

TEXTS = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NESTED = st.recursive(
    st.lists(TEXTS, min_size=1, max_size=3), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=8
)


def printed(items: Any) -> str:
    """Return an array as PostgreSQL prints it, with every item in quotes."""
    if isinstance(items, list):
        return "{" + ",".join(map(printed, items)) + "}"
    return "NULL" if items is None else '"' + items.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(NESTED)
def test_the_text_of_an_array_is_read_back(items: list[Any]) -> None:
    assert items_of(printed(items), str) == items


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("{}", []),
        ('{a,NULL,null,"NULL"}', ["a", None, None, "NULL"]),
        ("[5:6]={a,b}", ["a", "b"]),
        ("[0:1][-2:-1]={{a,b},{c,d}}", [["a", "b"], ["c", "d"]]),
        ("{[L;@1,(}", ["[L;@1", "("]),
    ],
)
def test_bounds_are_left_out_and_only_a_bare_null_is_none(text: str, items: list[Any]) -> None:
    assert items_of(text, str) == items


@pytest.mark.parametrize("text", ["", "{", "}", "{a", "a}", "{a}}", "{{a}", "{a}{b}", '{"a}', "1", "{}{}"])
def test_a_text_that_is_no_array_is_refused(text: str) -> None:
    with pytest.raises(UnreadableRecord):
        items_of(text, str)


@pytest.mark.parametrize(
    ("text", "item", "value"),
    [
        ("integer[]", "-7", -7),
        ("real[]", "Infinity", float("inf")),
        ("boolean[]", "t", True),
        ("numeric(12,2)[]", "1.5", "1.50"),
        ("numeric[]", "NaN", "NaN"),
        ("bytea[]", "\\x00ff", b"\x00\xff"),
        ("hstore[]", '"a \\" b"=>"1", "c"=>NULL', '{"a \\" b":"1","c":null}'),
        ("date[]", "4714-11-24 BC", -2_440_588),
        ("date[]", "-infinity", -DATE_INFINITY),
        ("time without time zone[]", "24:00:00", 86_400_000_000),
        ("timestamp with time zone[]", "1970-01-01 00:00:00.000001+00", 1),
        ("timestamp with time zone[]", "1969-12-31 16:30:00-07:30", 0),
        ("timestamp without time zone[]", "294276-12-31 23:59:59.999999", FAR_US[1]),
        ("timestamp without time zone[]", "infinity", TIMESTAMP_INFINITY),
        ("order_status[]", "paid", "paid"),
    ],
)
def test_an_item_is_read_in_the_type_of_its_column(text: str, item: str, value: Any) -> None:
    kind = parse_column_type(text).item
    assert kind is not None
    assert item_reader(kind)(item) == value


def test_an_array_of_several_dimensions_is_null_and_kept_as_text() -> None:
    column = parse_column_type("integer[]")
    reader = ColumnReader("matrix", WireType("string", WIRE_NAME), column, DecimalPolicy.EXACT)
    values, faults, nested = reader.read(pa.array(["{1,2}", "{{1},{2}}", None, "{x}"]))
    assert values.to_pylist() == [[1, 2], None, None, None]
    assert nested == {1: "{{1},{2}}"}
    assert faults == {3: "column matrix: not an integer"}


def test_inner_arrays_as_debeziums_own_converter_sends_them_are_refused() -> None:
    reader = ColumnReader(
        "tags", WireType("array", item=WireType("string")), parse_column_type("text[]"), DecimalPolicy.EXACT
    )
    sent = pa.array([["a"], ["[Ljava.lang.String;@229d3fa3"]], pa.list_(pa.string()))
    values, faults, _ = reader.read(sent)
    assert values.to_pylist() == [["a"], None]
    assert "converters" in faults[1]


@given(st.integers(-TIMESTAMP_INFINITY + 1, LATEST_US).filter(lambda us: us > -(2**62)))
def test_every_timestamp_of_postgresql_has_a_number_of_64_bits(us: int) -> None:
    stored = stored_us(us)
    assert -TIMESTAMP_INFINITY < stored < TIMESTAMP_INFINITY
    assert us_of(stored) == us


def test_the_analytics_store_takes_the_same_numbers_for_far_timestamps() -> None:
    assert special_values.FAR_US == FAR_US


def test_only_an_array_with_lists_in_it_has_several_dimensions() -> None:
    assert [is_nested(items) for items in ([], [None], ["a"], [["a"]])] == [False, False, False, True]

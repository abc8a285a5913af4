"""Tests of the mapping from PostgreSQL's types to DuckDB's."""

from __future__ import annotations

import json
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from sinks.duckdb.special_values import FAR_US, NumberRefused, with_special
from sinks.duckdb.types import cast_expression, duckdb_type, with_decimal_type
from sinks.errors import MutationRejected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smallint", "SMALLINT"),
        ("int8", "BIGINT"),
        ("real", "FLOAT"),
        ("double precision", "DOUBLE"),
        ("boolean", "BOOLEAN"),
        ("numeric(12,2)", "DECIMAL(12,2)"),
        ("numeric(7)", "DECIMAL(7,0)"),
        ("numeric(38,38)", "DECIMAL(38,38)"),
        ("date", "DATE"),
        ("timestamp(3) without time zone", "TIMESTAMP"),
        ("timestamp with time zone", "TIMESTAMPTZ"),
        ("time", "TIME"),
        ("bytea", "BLOB"),
        ("uuid", "UUID"),
        ("jsonb", "JSON"),
        ("hstore", "JSON"),
        ("text[]", "VARCHAR[]"),
        ("numeric(12,2)[]", "DECIMAL(12,2)[]"),
    ],
)
def test_a_type_that_duckdb_has_is_kept_as_it(text: str, expected: str) -> None:
    assert duckdb_type(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "numeric",
        "numeric(39,2)",
        "numeric(3,5)",
        "numeric(3,-2)",
        "text",
        "varchar(20)",
        "interval",
        "timetz",
        "status",
    ],
)
def test_a_type_that_no_type_of_duckdb_holds_whole_is_kept_as_text(text: str) -> None:
    assert duckdb_type(text) == "VARCHAR"


@pytest.mark.parametrize("text", ["numeric(12,2)", "bigint[]", "numeric(38,10)[]", "jsonb", "timestamptz", "uuid"])
def test_duckdb_knows_every_type_that_is_named(text: str) -> None:
    with duckdb.connect() as connection:
        [(known,)] = connection.execute(f"SELECT typeof(CAST(NULL AS {duckdb_type(text)}))").fetchall()
        connection.execute(f"CREATE TABLE one (kept {duckdb_type(text)})")
    assert known in (duckdb_type(text), "TIMESTAMP WITH TIME ZONE")


def test_a_decimal_is_stored_to_its_last_digit() -> None:
    digits = "9" * 28 + "." + "1234567891"
    assert cast_to("numeric(38,10)", digits) == digits


def cast_to(text: str, value: str) -> str | None:
    """Return a value as DuckDB stores it, as text."""
    with duckdb.connect() as connection:
        connection.register("incoming", pa.table({"it": [value]}))
        [(kept,)] = connection.execute(
            f"SELECT CAST({cast_expression('it', text)} AS VARCHAR) FROM incoming"
        ).fetchall()
    return None if kept is None else str(kept)


def test_a_value_that_no_decimal_can_hold_is_null_with_its_name_in_special() -> None:
    rows = pa.table({"price": ["1.00", "NaN", None, "-Infinity"], "fee": ["NaN", "NaN", None, "2.00"]})
    columns = {"price": "numeric(12,2)", "fee": "numeric(12,2)"}
    assert cast_to("numeric(12,2)", "NaN") is None
    assert special(rows, columns) == [
        {"fee": "NaN"},
        {"price": "NaN", "fee": "NaN"},
        None,
        {"price": "-Infinity"},
    ]


def test_an_array_with_what_a_decimal_cannot_be_is_named_whole() -> None:
    rows = pa.table({"prices": pa.array([["1.00"], ["1.00", "NaN", None], None, []], pa.list_(pa.string()))})
    assert special(rows, {"prices": "numeric(12,2)[]"}) == [None, {"prices": ["1.00", "NaN", None]}, None, None]


def test_rows_without_such_values_have_nothing_beside_them() -> None:
    rows = pa.table({"price": ["1.00", None], "word": ["NaN", "Infinity"]})
    columns = {"price": "numeric(12,2)", "word": "text"}
    assert special(rows, columns) == [None, None]
    assert with_special(rows, columns)["_special"].type == pa.string()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("numeric", "numeric(38,20)"),
        ("numeric[]", "numeric(38,20)[]"),
        ("numeric(39,2)", "numeric(38,2)"),
        ("numeric(60,40)", "numeric(38,20)"),
        ("numeric(3,5)", "numeric(5,5)"),
        ("numeric(3,-2)", "numeric(5,0)"),
        ("numeric(12,2)", "numeric(12,2)"),
        ("money", "numeric(19,2)"),
        ("text", "text"),
    ],
)
def test_a_new_table_stores_a_numeric_as_a_decimal_that_is_wide_enough_or_the_widest(text: str, expected: str) -> None:
    assert with_decimal_type(text) == expected


FITTING = {
    "numeric(38,20)": ("123456789012345678." + "1234567890" * 2, "-" + "9" * 18, "00" + "1" * 18, "1." + "0" * 40),
    "numeric(5,2)": ("-999.99", "NaN", "Infinity", "0.10"),
    "numeric(5,5)": ("0.00123", "-0.12345"),
    "numeric(5,0)": ("99900", "-99900"),
}


@pytest.mark.parametrize("text", FITTING)
def test_a_number_that_fits_is_stored_as_it_is(text: str) -> None:
    rows = pa.table({"it": FITTING[text]})
    with_special(rows, {"it": text})
    finite = [value for value in FITTING[text] if value[-1].isdecimal()]
    stored = [cast_to(text, value) for value in finite]
    assert list(map(Decimal, map(str, stored))) == list(map(Decimal, finite))


@pytest.mark.parametrize("number", ["1" * 19, "-" + "1" * 19 + ".5", "0." + "0" * 20 + "1", "1" + "0" * 500])
def test_a_number_that_does_not_fit_is_refused_by_the_name_of_its_column(number: str) -> None:
    rows = pa.table({"it": ["1", number], "many": [[], ["1.5", number, None]]})
    for name, text in (("it", "numeric(38,20)"), ("many", "numeric(38,20)[]")):
        with pytest.raises(NumberRefused, match=rf"column {name} holds a number that .* DECIMAL\(38,20\)") as refused:
            with_special(rows.select([name]), {name: text})
        assert number not in str(refused.value)


def test_a_column_that_is_text_in_duckdb_needs_nothing_beside_it() -> None:
    assert special(pa.table({"any": ["NaN"]}), {"any": "numeric"}) == [None]


def test_a_timestamp_beyond_duckdbs_is_null_and_named_beside_it() -> None:
    numbers = [0, FAR_US[0], FAR_US[1], None]
    moments = pa.array(numbers, pa.int64()).cast(pa.timestamp("us", "UTC"))
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 3, 3, 4]), moments)
    columns = {"at": "timestamp with time zone", "ats": "timestamp with time zone[]"}
    rows = with_special(pa.table({"at": moments, "ats": lists}), columns)
    assert rows["at"].cast(pa.int64()).to_pylist() == [0, None, None, None]
    assert [len(one) for one in rows["ats"].to_pylist()] == [1, 2, 0, 1]
    first, last = "+294247-01-10T04:00:54.775807Z", "+294276-12-31T23:59:59.999999Z"
    assert special(pa.table({"at": moments, "ats": lists}), columns) == [
        None,
        {"at": first, "ats": [first, last]},
        {"at": last},
        None,
    ]


def test_a_key_that_duckdb_cannot_hold_is_refused_by_the_name_of_its_column() -> None:
    columns = {"device": "text", "at": "timestamp with time zone"}
    moments = pa.array([0, FAR_US[0], None], pa.int64()).cast(pa.timestamp("us", "UTC"))
    rows = pa.table({"device": ["a", "b", "c"], "at": moments})
    with_special(rows, columns, ["device"])
    with_special(rows.slice(0, 1), columns, ["device", "at"])
    with pytest.raises(MutationRejected, match="key column at holds a timestamp after 294247-01-10"):
        with_special(rows, columns, ["device", "at"])


def test_special_values_recorded_before_are_kept() -> None:
    rows = pa.table({"price": ["NaN"], "_special": ['{"matrix": [[1, 2]]}']})
    assert special(rows, {"price": "numeric(12,2)"}) == [{"matrix": [[1, 2]], "price": "NaN"}]


def special(rows: pa.Table, columns: dict[str, str]) -> list[object]:
    found = with_special(rows, columns)["_special"].to_pylist()
    return [None if text is None else json.loads(text) for text in found]

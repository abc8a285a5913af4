"""Tests of declared types, and of the wire forms that are accepted or refused for them."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.envelope import SourceTable, envelope_schema
from connectors.errors import InexactDecimal, ScaleExceeded, TypeWidened, UnsupportedType, WireTypeRefused
from connectors.types.numeric import DecimalPolicy
from connectors.types.pg_types import parse_column_type
from connectors.types.vectorized import ColumnReader
from connectors.types.wire_types import WireType, default_json

DECIMAL = "org.apache.kafka.connect.data.Decimal"


@pytest.mark.parametrize(
    ("text", "arrow"),
    [
        ("smallint", pa.int16()),
        ("int4", pa.int32()),
        ("BIGINT", pa.int64()),
        ("real", pa.float32()),
        ("double precision", pa.float64()),
        ("bool", pa.bool_()),
        ("numeric(12,2)", pa.string()),
        ("numeric", pa.string()),
        ("character varying(40)", pa.string()),
        ("order_status", pa.string()),
        ('public."Order Status"', pa.string()),
        ("interval year to month", pa.string()),
        ("time(3) with time zone", pa.string()),
        ("bytea", pa.binary()),
        ("date", pa.date32()),
        ("time(3) without time zone", pa.time64("us")),
        ("timestamp(3) without time zone", pa.timestamp("us")),
        ("timestamptz", pa.timestamp("us", "UTC")),
        ("timestamp with time zone[]", pa.list_(pa.timestamp("us", "UTC"))),
        ("numeric(12,2)[]", pa.list_(pa.string())),
        ("text[][]", pa.list_(pa.string())),
    ],
)
def test_every_type_has_one_arrow_type(text: str, arrow: pa.DataType) -> None:
    assert parse_column_type(text).arrow == arrow


@pytest.mark.parametrize(
    "text", ["name", "point", "bit varying(8)", "pg_lsn", "int4multirange", "interval[]", "money[]", "a b;c", ""]
)
def test_a_type_that_is_not_sent_whole_is_refused_when_it_is_declared(text: str) -> None:
    with pytest.raises(UnsupportedType):
        envelope_schema(SourceTable("public.orders", {"a": text}))


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("bigint", WireType("string")),
        ("smallint", WireType("int", "io.debezium.time.Date")),
        ("real", WireType("double")),
        ("text", WireType("bytes")),
        ("bytea", WireType("string")),
        ("interval", WireType("long", "io.debezium.time.MicroDuration")),
        ("timestamp without time zone", WireType("long", "org.apache.kafka.connect.data.Timestamp")),
        ("timestamp without time zone", WireType("long")),
        ("timestamp with time zone", WireType("long", "io.debezium.time.MicroTimestamp")),
        ("time without time zone", WireType("int", "io.debezium.time.Time")),
        ("time without time zone", WireType("string", "io.debezium.time.IsoTime")),
        ("numeric(12,2)", WireType("bytes")),
        ("text[]", WireType("string")),
        ("bigint[]", WireType("array", item=WireType("string"))),
    ],
)
def test_a_form_that_does_not_carry_every_value_is_refused(text: str, wire: WireType) -> None:
    with pytest.raises(WireTypeRefused):
        ColumnReader("a", wire, parse_column_type(text), DecimalPolicy.EXACT)


def test_an_integer_that_does_not_fit_its_column_is_a_fault_of_its_record() -> None:
    reader = ColumnReader("a", WireType("int"), parse_column_type("smallint"), DecimalPolicy.EXACT)
    array, faults, _ = reader.read(pa.array([1, 2**20, None]))
    assert array.to_pylist() == [1, None, None]
    assert faults == {1: "column a: not an integer of 16 bits"}


def test_an_integer_column_that_was_widened_at_the_source_breaks_the_contract() -> None:
    reader = ColumnReader("a", WireType("long"), parse_column_type("integer"), DecimalPolicy.EXACT)
    assert reader.read(pa.array([1, None]))[0].to_pylist() == [1, None]
    with pytest.raises(TypeWidened, match="column a: a value beyond an integer of 32 bits") as caught:
        reader.read(pa.array([1, 2**40, None]))
    assert "Declare the column in readmodels.toml" in caught.value.remedy


def read(text: str, wire: WireType, values: list[Any], decimals: DecimalPolicy = DecimalPolicy.EXACT) -> list[Any]:
    array, faults, _ = ColumnReader("a", wire, parse_column_type(text), decimals).read(values)
    assert faults == {}
    found: list[Any] = array.to_pylist()
    return found


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("12.30", "12.30"),
        ("12.3", "12.30"),
        ("12", "12.00"),
        ("1E+2", "100.00"),
        ("0E-10", "0.00"),
        ("-0.01", "-0.01"),
        ("NAN", "NaN"),
        ("NaN", "NaN"),
        ("POSITIVE_INFINITY", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("007.00", "7.00"),
    ],
)
def test_a_numeric_has_exactly_its_declared_scale(sent: str, kept: str) -> None:
    assert read("numeric(12,2)", WireType("string"), [sent]) == [kept]
    assert read("numeric(12,2)", WireType("string"), ["1.00", sent, None]) == ["1.00", kept, None]


def test_a_numeric_without_a_scale_keeps_its_digits_and_has_no_exponent() -> None:
    texts = ["1.10", "1E+40", "1E-20", "-0.0", "9" * 200 + ".5"]
    kept = ["1.10", "1" + "0" * 40, "0." + "0" * 19 + "1", "-0.0", "9" * 200 + ".5"]
    assert read("numeric", WireType("string"), texts) == kept


def test_digits_beyond_the_declared_scale_are_never_rounded_away() -> None:
    with pytest.raises(ScaleExceeded, match="2 digits"):
        read("numeric(12,2)", WireType("string"), ["1.00", "1.005"])


@given(st.decimals(min_value=-(10**10), max_value=10**10, places=2))
def test_a_numeric_is_the_same_in_every_exact_form(number: Decimal) -> None:
    unscaled = int(number.scaleb(2))
    octets = unscaled.to_bytes(6, "big", signed=True)
    text = f"{number:.2f}"
    assert read("numeric(12,2)", WireType("string"), [text]) == [text]
    expected = [f"{Decimal(unscaled).scaleb(-2):.2f}"]
    assert read("numeric(12,2)", WireType("bytes", DECIMAL, 2), [octets]) == expected
    struct = {"scale": 2, "value": octets}
    assert read("numeric(12,2)", WireType("record", "io.debezium.data.VariableScaleDecimal"), [struct]) == expected


def test_a_double_is_a_numeric_only_if_that_was_allowed() -> None:
    with pytest.raises(InexactDecimal):
        ColumnReader("a", WireType("double"), parse_column_type("numeric(12,2)"), DecimalPolicy.EXACT)
    sent = [12.3, -0.0, float("nan"), float("-inf")]
    kept = ["12.30", "0.00", "NaN", "-Infinity"]
    assert read("numeric(12,2)", WireType("double"), sent, DecimalPolicy.ALLOW_DOUBLE) == kept


@pytest.mark.parametrize("text", ["MTIz", "1230", "0"])
def test_without_a_schema_a_numeric_must_show_a_point(text: str) -> None:
    column = parse_column_type("numeric(12,2)")
    faults = ColumnReader("a", default_json(column), column, DecimalPolicy.EXACT).read([text, "12.30", "NaN"]).faults
    assert list(faults) == [0]


def test_a_numeric_from_before_its_column_got_more_scale_is_the_same_number() -> None:
    column = parse_column_type("numeric(12,2)")
    decoded = ColumnReader("a", default_json(column), column, DecimalPolicy.EXACT).read(["12.3", "-0.5"])
    assert (dict(decoded.faults), decoded.values.to_pylist()) == ({}, ["12.30", "-0.50"])


def test_one_value_out_of_the_ordinary_changes_no_other() -> None:
    ordinary = ["2026-01-02T03:04:05.000006Z", "1500-02-28T00:00:00Z"]
    wire = WireType("string", "io.debezium.time.ZonedTimestamp")
    reader = ColumnReader("a", wire, parse_column_type("timestamptz"), DecimalPolicy.EXACT)
    fast, exact = (reader.read(pa.array(texts)).values for texts in (ordinary, [*ordinary, "infinity"]))
    assert exact.cast(pa.int64()).to_pylist() == [*fast.cast(pa.int64()).to_pylist(), 2**63 - 1]

"""Tests that columnar decoding and record-by-record decoding agree on every row and on every bad record."""

import base64
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.avro.schema import inline_types
from connectors.avro.wire_format import parse_frames
from connectors.decode.assemble import assemble
from connectors.decode.avro_rows import RowReader
from connectors.decode.avro_table import AvroSchemaDecoder
from connectors.types.numeric import DecimalPolicy
from tests.golden.recording import recording
from tests.unit.connectors.decode.change_records import batch, change, framed

GOLDEN = recording("avro")
((SCHEMA_ID, SCHEMA),) = GOLDEN.schemas.items()
LAYOUT = AvroSchemaDecoder(inline_types(SCHEMA), GOLDEN.table, DecimalPolicy.EXACT)
RECORDS = RowReader(inline_types(SCHEMA), [*GOLDEN.table.columns])
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
longs = st.integers(-(2**63), 2**63 - 1)
ints = st.integers(-(2**31), 2**31 - 1)
shorts = st.integers(-(2**15), 2**15 - 1)
floats = st.floats(width=32)
doubles = st.floats()
prices = st.integers(-(10**12) + 1, 10**12 - 1).map(lambda cents: f"{Decimal(cents).scaleb(-2):f}")
numbers = st.decimals(allow_nan=False, allow_infinity=False).map(lambda number: f"{number:f}")
instants = st.datetimes(timezones=st.just(UTC)).map(lambda t: t.isoformat(timespec="microseconds")[:-6] + "Z")
us = st.datetimes(timezones=st.just(UTC)).map(lambda t: (t - EPOCH) // timedelta(microseconds=1))
days = st.dates().map(lambda day: (day - date(1970, 1, 1)).days)
times_us = st.integers(0, 86_400_000_000)


def of_type(kind: str) -> st.SearchStrategy[Any]:
    """Return values of a PostgreSQL type in their Avro form."""
    if kind.endswith("[]"):
        return st.lists(st.none() | of_type(kind.removesuffix("[]")), max_size=4)
    plain: dict[str, st.SearchStrategy[Any]] = {
        "smallint": shorts,
        "integer": ints,
        "bigint": longs,
        "oid": longs,
        "real": floats,
        "double precision": doubles,
        "boolean": st.booleans(),
        "money": prices,
        "numeric(12,2)": prices | st.sampled_from(["NAN", "1E+2", "0.5"]),
        "numeric": numbers | st.sampled_from(["POSITIVE_INFINITY"]),
        "numeric(18,0)": st.integers(-(10**18) + 1, 10**18 - 1).map(str),
        "numeric(38,18)": st.integers(-(10**37), 10**37).map(lambda n: f"{Decimal(n).scaleb(-18):f}"),
        "bytea": st.binary(max_size=20),
        "bit(1)": st.booleans(),
        "bit(4)": st.integers(0, 15).map(lambda n: n.to_bytes(1, "little")),
        "bit(12)": st.integers(0, 4095).map(lambda n: n.to_bytes(2, "little")),
        "date": days,
        "timestamp without time zone": us | st.sampled_from([9_223_372_036_825_200_000]),
        "timestamp(3) without time zone": us.map(lambda count: count // 1000),
        "timestamp with time zone": instants | st.sampled_from(["infinity", "+12000-01-01T00:00:00.000001Z"]),
        "timestamp(0) with time zone": instants,
        "time without time zone": times_us,
        "time(3) without time zone": times_us,
    }
    return plain.get(kind, texts)


@st.composite
def images(draw: st.DrawFn) -> dict[str, Any]:
    columns = GOLDEN.table.columns
    chosen = draw(st.sets(st.sampled_from([*columns]), min_size=1, max_size=12))
    required = {"id", "required_text", "required_numeric", "required_time"}
    return {name: draw(of_type(kind)) if name in chosen | required else None for name, kind in columns.items()}


@st.composite
def envelopes(draw: st.DrawFn) -> dict[str, Any]:
    op = draw(st.sampled_from(["c", "u", "d", "r", "t", "x"]))
    lsn = draw(st.none() | st.integers(1, 2**40))
    return change(
        op,
        before=draw(images()) if op in "ud" else None,
        after=draw(images()) if op in "cur" else None,
        table=draw(st.sampled_from(["catalogue", "catalogue", "catalogue", "other"])),
        lsn=lsn,
        sequence=draw(st.sampled_from([None, f'["{lsn}","{lsn}"]', f'[null,"{lsn}"]', '["7","8"]'])),
        snapshot=draw(st.sampled_from(["true", "false", "last", "incremental"])),
        ts_us=draw(st.none() | st.integers(0, 2**52)),
        origin=None,
        origin_lsn=None,
    )


def read_both_ways(values: list[bytes]) -> tuple[list[pa.Table], list[dict[int, str]]]:
    frames, records = parse_frames(list(values)), batch(list(values), GOLDEN.records.topic)
    rows = np.flatnonzero(frames.schema_ids >= 0)
    fast = LAYOUT.read(frames, rows)
    slow = RECORDS.read(frames, rows)
    read = [assemble(sent, LAYOUT.plan, records) for sent in (fast, slow)]
    return [table for table, _ in read], [faults for _, faults in read]


def same(left: pa.Table, right: pa.Table) -> bool:
    """Compare bit by bit, because NaN is not equal to itself."""
    return left.schema == right.schema and _bytes(left) == _bytes(right)


def _bytes(table: pa.Table) -> list[str]:
    return [repr(row) for name in table.column_names for row in _counts(table[name].combine_chunks()).to_pylist()]


def _counts(array: pa.Array) -> pa.Array:
    """Replace times by their counts, which Python can print in any year."""
    if pa.types.is_struct(array.type):
        children = [_counts(child) for child in array.flatten()]
        return pa.StructArray.from_arrays(children, names=array.type.names, mask=array.is_null())
    if pa.types.is_list(array.type):
        return pa.ListArray.from_arrays(array.offsets, _counts(array.values), mask=array.is_null())
    if pa.types.is_date32(array.type):
        return array.cast(pa.int32())
    return array.cast(pa.int64()) if pa.types.is_temporal(array.type) else array


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(envelopes(), min_size=1, max_size=4))
def test_both_readings_give_the_same_rows(changes: list[dict[str, Any]]) -> None:
    tables, faults = read_both_ways([framed(envelope, SCHEMA, SCHEMA_ID) for envelope in changes])
    assert same(*tables)
    assert faults[0] == faults[1]
    assert len(tables[0]) + len(faults[0]) == len(changes)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_both_readings_agree_on_what_is_damaged(data: st.DataObject) -> None:
    good = data.draw(st.sampled_from([value for value in GOLDEN.records.values if value and len(value) < 3_000]))
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(5, len(damaged) - 1))
        match data.draw(st.sampled_from(["change", "drop", "insert"])):
            case "change":
                damaged[at] = data.draw(st.integers(0, 255))
            case "drop":
                del damaged[at]
            case _:
                damaged.insert(at, data.draw(st.integers(0, 255)))
    tables, faults = read_both_ways([good, bytes(damaged), good])
    if not faults[0] and "UnicodeDecodeError" in faults[1].get(1, ""):
        # The damage is in a text that is skipped: the decoded values are unchanged.
        undamaged, _ = read_both_ways([good] * 3)
        assert same(tables[0], undamaged[0])
    else:
        assert faults[0].keys() == faults[1].keys() <= {1}, base64.b64encode(damaged)
        assert same(*tables)


def test_both_readings_give_the_same_rows_of_what_a_real_connector_wrote() -> None:
    tables, faults = read_both_ways([value for value in GOLDEN.records.values if value is not None])
    assert same(*tables)
    assert faults == [{}, {}]
    assert len(tables[0]) == len(GOLDEN.changes)

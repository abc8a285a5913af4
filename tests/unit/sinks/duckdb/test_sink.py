"""Tests of DuckDB's contents after writes: exact values, registers, and every version once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.types.pg_types import DATE_INFINITY, TIMESTAMP_INFINITY
from sinks.duckdb.special_values import NumberRefused
from sinks.duckdb.sql_text import quote_identifier
from sinks.duckdb.store import DuckdbStore
from sinks.duckdb.types import with_decimal_type
from sinks.errors import MutationRejected
from sinks.ordering.range_tombstone import RangeTombstone
from sinks.shape import RowShape
from tests.unit.sinks.ordering.row_changes import Change, Model, deleted, model, snapshot, streamed, sweep, truncate

ORDERS = RowShape("orders", ("id",), {"id": "bigint", "status": "text"})
Turns = list[tuple[tuple[Change, ...], list[RangeTombstone]]]
"""The changes and range tombstones of every batch."""

YEAR_12000_US = 316_516_809_600_000_000
VALUES = {
    "smallint": (-32_768, "-32768"),
    "bigint": (-(2**63), "-9223372036854775808"),
    "numeric(12,2)": ("-9999999999.99", "-9999999999.99"),
    "numeric(38,10)": ("9" * 28 + ".0000000001", "9" * 28 + ".0000000001"),
    "numeric": ("0." + "0" * 40 + "1", "0." + "0" * 40 + "1"),
    "real": (0.1, "0.1"),
    "double precision": (5e-324, "5e-324"),
    "boolean": (True, "true"),
    "text": ("quo'te \" \\ \u2028 🎁", "quo'te \" \\ \u2028 🎁"),
    "character varying(20)": ("ab", "ab"),
    "uuid": ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "bytea": (b"\x00\xffa", "\\x00\\xFFa"),
    "jsonb": ('{"a": 123456789012345678901234567890.10}', '{"a": 123456789012345678901234567890.10}'),
    "date": (3_663_000, "11998-12-15"),
    "time": (86_400_000_000, "24:00:00"),
    "timestamp": (1, "1970-01-01 00:00:00.000001"),
    "timestamp with time zone": (YEAR_12000_US, "12000-01-08 00:00:00+00"),
    "interval": ("P1Y2M3DT4H5M6.789S", "P1Y2M3DT4H5M6.789S"),
    "text[]": (["a,b", None, "c'd"], "['a,b', NULL, 'c\\'d']"),
    "numeric(12,2)[]": (["1.10", "-2.00"], "[1.10, -2.00]"),
    "jsonb[]": (['{"a":1}'], '[{"a":1}]'),
}


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Model]:
    with model(tmp_path, ORDERS) as opened:
        yield opened


@pytest.mark.parametrize("text", VALUES)
def test_a_value_is_kept_exactly(text: str, tmp_path: Path) -> None:
    given, expected = VALUES[text]
    with model(tmp_path, RowShape("one", ("id",), {"id": "bigint", "it": text})) as one:
        one.write(streamed((10, 11), id=1, it=given), streamed((10, 12), id=2))
        one.store.instance().execute("SET TimeZone = 'UTC'")
        assert one.ask("SELECT CAST(it AS VARCHAR) FROM one ORDER BY id") == [(expected,), (None,)]
        assert one.ask("SELECT CAST(it AS VARCHAR), _special FROM one_history WHERE id = 1") == [(expected, None)]


def test_infinite_times_are_infinite_in_duckdb(tmp_path: Path) -> None:
    columns = {"id": "bigint", "day": "date", "local": "timestamp", "moment": "timestamptz"}
    with model(tmp_path, RowShape("times", ("id",), columns)) as times:
        for number, sign in ((1, 1), (2, -1)):
            infinity = sign * TIMESTAMP_INFINITY
            times.write(streamed((10, number), id=number, day=sign * DATE_INFINITY, local=infinity, moment=infinity))
        texts = "CAST(day AS VARCHAR), CAST(local AS VARCHAR), CAST(moment AS VARCHAR)"
        assert times.ask(f"SELECT {texts} FROM times ORDER BY id") == [("infinity",) * 3, ("-infinity",) * 3]
        assert times.ask("SELECT count(*) FROM times WHERE moment > TIMESTAMPTZ '9999-01-01'") == [(1,)]


@pytest.mark.parametrize("direction", [1, -1], ids=["in order", "in reverse"])
def test_a_value_that_no_decimal_can_hold_is_null_with_its_name_in_special(direction: int, tmp_path: Path) -> None:
    columns = {"id": "bigint", "price": "numeric(12,2)", "prices": "numeric(12,2)[]"}
    changes = [
        streamed((10, 11), 0, id=1, price="NaN", prices=["1.00", "NaN"]),
        streamed((20, 21), 1, id=2, price="1.20", prices=None),
    ]
    with model(tmp_path, RowShape("goods", ("id",), columns)) as goods:
        for change in changes[::direction]:
            goods.write(change)
        assert goods.ask("SELECT id, CAST(price AS VARCHAR) FROM goods ORDER BY id") == [(1, None), (2, "1.20")]
        special = "SELECT id, _special->>'price', _special->'prices' FROM goods_history ORDER BY id"
        assert goods.ask(special) == [(1, "NaN", '["1.00","NaN"]'), (2, None, None)]


def test_a_special_value_goes_when_the_row_changes(tmp_path: Path) -> None:
    with model(tmp_path, RowShape("goods", ("id",), {"id": "bigint", "price": "numeric(12,2)"})) as goods:
        goods.write(streamed((10, 11), id=1, price="NaN"))
        goods.write(streamed((20, 21), 1, id=1, price="2.00"))
        with goods.store.connection(1) as connection:
            kept = connection.execute("SELECT CAST(price AS VARCHAR), _special FROM registers.goods").fetchall()
        assert kept == [("2.00", None)]


HISTORY = (
    snapshot(100, 0, id=1, status="pending"),
    snapshot(100, 1, id=2, status="pending"),
    streamed((90, 90), 2, id=1, status="in flight"),
    streamed((110, 111), 3, id=1, status="paid"),
    deleted((120, 121), 4, id=2),
    streamed((130, 131), 5, id=2, status="again"),
)


def versions(orders: Model) -> list[tuple[object, ...]]:
    return orders.versions("id, _op, _commit_lsn, _lsn, status")


def test_every_version_is_kept_once_after_any_repetition(orders: Model) -> None:
    expected = [
        (1, "r", 100, 100, "pending"),
        (2, "r", 100, 100, "pending"),
        (1, "u", 90, 90, "in flight"),
        (1, "u", 110, 111, "paid"),
        (2, "d", 120, 121, None),
        (2, "u", 130, 131, "again"),
    ]
    orders.write(*HISTORY)
    assert versions(orders) == expected
    orders.write(*HISTORY)
    for change in HISTORY:
        orders.write(change)
    emitted_again = [Change(change.at, change.row, change.op, change.offset + 10) for change in HISTORY]
    orders.write(*emitted_again, *HISTORY)
    assert versions(orders) == expected
    orders.write(streamed((140, 141), 20, id=1, status="shipped"), streamed((140, 141), 21, id=1, status="shipped"))
    assert versions(orders) == [*expected, (1, "u", 140, 141, "shipped")]


def test_a_column_without_any_value_keeps_its_type(tmp_path: Path) -> None:
    columns = {"id": "bigint", "price": "numeric(12,2)", "moment": "timestamptz", "tags": "text[]"}
    with model(tmp_path, RowShape("goods", ("id",), columns)) as goods:
        goods.write(streamed((10, 11), id=1))
        goods.write(streamed((20, 21), 1, id=2, price="1.20", moment=0, tags=["a"]))
        types = "SELECT DISTINCT typeof(price), typeof(moment), typeof(tags) FROM goods"
        assert goods.ask(types) == [("DECIMAL(12,2)", "TIMESTAMP WITH TIME ZONE", "VARCHAR[]")]


def test_the_history_has_the_commit_times_of_the_source(orders: Model) -> None:
    orders.write(streamed((110, 111), id=1, status="paid"))
    assert orders.ask("SELECT epoch_us(valid_from), valid_to FROM orders_history") == [(110, None)]


def test_the_register_of_a_dead_row_is_kept(orders: Model) -> None:
    orders.write(streamed((10, 11), id=1, status="paid"))
    orders.write(deleted((20, 21), 1, id=1))
    assert orders.ask("FROM orders") == []
    assert orders.registers() == [(False, 20, 21, True, True)]
    orders.write(streamed((15, 16), 2, id=1, status="late"))
    assert orders.ask("FROM orders") == []
    assert orders.registers() == [(False, 20, 21, True, True)]


def test_a_row_that_went_to_another_partition_keeps_what_is_newer_than_the_rest_of_the_one_it_left(
    orders: Model,
) -> None:
    in_its_first = [Change((10 * turn, 10 * turn + 1), {"id": 1, "status": f"v{turn}"}, offset=turn) for turn in (1, 2)]
    moved = Change((30, 31), {"id": 1, "status": "v3"}, offset=3, partition=1)
    emitted_again = replace(in_its_first[1], offset=4, partition=1)
    for change in (in_its_first[0], emitted_again, moved):
        orders.write(change)
    for late in (in_its_first[1], replace(moved, op="d", at=(25, 26), partition=0)):
        orders.write(late)
        assert orders.ask("SELECT status FROM orders") == [("v3",)]
    assert [at for (at,) in orders.versions("_lsn")] == [11, 21, 31, 26]


def test_both_sides_are_kept_only_while_lsns_do_not_decide(orders: Model) -> None:
    orders.write(snapshot(100, 0, id=1, status="pending"), streamed((90, 90), 1, id=1, status="in flight"))
    assert orders.ask("SELECT status FROM orders") == [("in flight",)]
    assert orders.registers() == [(False, 90, 90, False, True), (True, 100, 100, False, False)]
    orders.write(streamed((110, 111), 2, id=1, status="paid"))
    assert orders.ask("SELECT status FROM orders") == [("paid",)]
    assert orders.registers() == [(False, 110, 111, False, True)]


def test_range_tombstones_reach_every_key_however_many(monkeypatch: pytest.MonkeyPatch, orders: Model) -> None:
    monkeypatch.setattr("sinks.duckdb.sink.KEYS_PER_TOMBSTONE_STEP", 7)
    orders.write(*(streamed((10, number), number, id=number, status="old") for number in range(100)))
    orders.write(streamed((30, 200), 200, id=50, status="new"))
    orders.write(range_tombstones=[truncate("orders", 20, 150)])
    assert orders.ask("FROM orders") == [(50, "new")]
    orders.write(streamed((15, 120), 201, id=1000, status="late"))
    assert orders.ask("FROM orders") == [(50, "new")]


@pytest.mark.parametrize(
    ("range_tombstone", "shown"),
    [
        (truncate("orders", 20, 21), []),
        (truncate("orders", 5, 6), [(1, "old")]),
        (sweep("orders", 100, started_at=1), []),
        (sweep("orders", 100, started_at=0), [(1, "old")]),
    ],
)
def test_a_range_tombstone_is_merged_alike_before_with_and_after_the_rows(
    range_tombstone: RangeTombstone, shown: list[tuple[int, str]], tmp_path: Path
) -> None:
    old = streamed((10, 11), 0, id=1, status="old")
    before: Turns = [((), [range_tombstone]), ((old,), [])]
    together: Turns = [((old,), [range_tombstone])]
    after: Turns = [((old,), []), ((), [range_tombstone])]
    kept = []
    for number, turns in enumerate((before, together, after)):
        with model(tmp_path / str(number), ORDERS) as orders:
            for changes, range_tombstones in turns:
                orders.write(*changes, range_tombstones=range_tombstones)
            assert orders.ask("FROM orders") == shown
            kept.append(orders.registers())
    assert kept == [kept[0]] * 3


AWKWARD = 'x"; drop table o; --'


@pytest.mark.parametrize("table", ["orders", AWKWARD, "incoming", "Select", "o'brien", "books"])
def test_names_are_only_data(table: str, tmp_path: Path) -> None:
    shape = RowShape(table, (AWKWARD, "order"), {AWKWARD: "text", "order": "integer", "va'lue": "text"})
    with model(tmp_path, shape) as odd:
        first = {AWKWARD: "'); --", "order": 1, "va'lue": "a"}
        odd.write(Change((10, 11), first, "c", 0), Change((10, 12), {**first, "order": 2}, "c", 1))
        odd.write(Change((20, 21), {**first, "va'lue": "b"}, "u", 2))
        odd.write(Change((20, 21), {**first, "va'lue": "b"}, "u", 2))
        assert odd.ask(f"FROM {quote_identifier(table)} ORDER BY ALL") == [("'); --", 1, "b"), ("'); --", 2, "a")]
        odd.write(Change((30, 31), {AWKWARD: "'); --", "order": 1}, "d", 3))
        assert odd.ask(f"FROM {quote_identifier(table)}") == [("'); --", 2, "a")]
        assert odd.ask(f"SELECT count(*) FROM {quote_identifier(table + '_history')}") == [(3,)]


def test_numbers_without_precision_are_ordered_compared_and_added_as_numbers(tmp_path: Path) -> None:
    with model(tmp_path, RowShape("one", ("id",), {"id": "bigint", "it": with_decimal_type("numeric")})) as one:
        for place, number in enumerate(("9.5", "100000", "20566.62060", "-1", "NaN")):
            one.write(streamed((10, place), place, id=place, it=number))
        [(highest, total, above, ordered)] = one.ask(
            "SELECT max(it), sum(it), count(*) FILTER (it > 9.5), list(id ORDER BY it) FILTER (it IS NOT NULL) FROM one"
        )
    assert (highest, total, above) == (Decimal(100_000), Decimal("120575.1206"), 2)
    assert ordered == [3, 0, 2, 1]


def test_a_number_of_too_many_digits_is_stored_once_its_column_is_declared_as_in_the_remedy(tmp_path: Path) -> None:
    number = "1" * 30
    with model(
        tmp_path / "first", RowShape("one", ("id",), {"id": "bigint", "it": with_decimal_type("numeric")})
    ) as one:
        with pytest.raises(NumberRefused) as refused:
            one.write(streamed((10, 11), id=1, it=number))
        assert one.store.sink(1).progress().offsets == {}
    [(column, declared)] = re.findall(r"declare (\w+) as (numeric\(38,S\))", refused.value.remedy)
    shape = RowShape("one", ("id",), {"id": "bigint", column: declared.replace("S", "2")})
    with model(tmp_path / "second", shape) as one:
        one.write(streamed((10, 11), id=1, it=f"{number}.00"))
        assert one.ask("SELECT it FROM one") == [(Decimal(number),)]


def test_a_table_of_an_older_generation_keeps_numbers_as_text(tmp_path: Path) -> None:
    with model(tmp_path, RowShape("one", ("id",), {"id": "bigint", "it": "numeric"})) as one:
        one.write(streamed((10, 11), id=1, it="1.50"), streamed((10, 12), 1, id=2, it="1" * 60))
        assert one.ask("SELECT it FROM one ORDER BY id") == [("1.50",), ("1" * 60,)]


KEYS = {
    "text": ("é~A", "É~a"),
    "uuid": ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12"),
    "numeric(12,2)": ("1.50", "1.51"),
    "numeric": ("1.50", "1.5000000000000000000001"),
    "date": (0, DATE_INFINITY),
    "time": (0, 86_400_000_000),
    "timestamptz": (YEAR_12000_US, TIMESTAMP_INFINITY),
    "bytea": (b"\x00", b"\x00\x00"),
    "boolean": (True, False),
    "smallint": (1, -1),
    "bigint": (2**53, 2**53 + 1),
    "oid": (1, 2**32 - 1),
}


@pytest.mark.parametrize("text", KEYS)
def test_a_key_of_any_type_finds_its_register_again(text: str, tmp_path: Path) -> None:
    one, other = KEYS[text]
    with model(tmp_path, RowShape("keyed", ("k",), {"k": text, "value": "text"})) as keyed:
        for _ in range(2):
            keyed.write(streamed((20, 21), 1, k=one, value="new"), streamed((20, 22), 2, k=other, value="other"))
            keyed.write(streamed((10, 11), 0, k=one, value="old"))
        assert keyed.ask("SELECT value FROM keyed ORDER BY value") == [("new",), ("other",)]
        keyed.write(deleted((30, 31), 3, k=one))
        assert keyed.ask("SELECT value FROM keyed") == [("other",)]
        assert len(keyed.registers()) == 2


def test_a_value_that_duckdb_refuses_is_rejected_without_its_value_and_moves_no_progress(tmp_path: Path) -> None:
    with model(tmp_path, RowShape("one", ("id",), {"id": "bigint", "it": "jsonb"})) as one:
        with pytest.raises(MutationRejected) as refused:
            one.write(streamed((10, 11), id=1, it="not what it says"))
        assert "not what it says" not in str(refused.value)
        assert one.store.sink(1).progress().offsets == {}
        assert one.ask("FROM one") == one.ask("FROM one_history") == []
        one.write(streamed((10, 11), id=1, it='{"it": "is"}'))
        assert one.ask("FROM one") == [(1, '{"it": "is"}')]


def test_json_stays_as_it_was_written_also_where_duckdb_would_not_parse_it(tmp_path: Path) -> None:
    written = '{"half":  "\\ud800"}'
    with model(tmp_path, RowShape("one", ("id",), {"id": "bigint", "it": "json"})) as one:
        one.write(streamed((10, 11), id=1, it=written))
        assert one.ask("FROM one") == [(1, written)]


def test_a_table_that_joins_the_contract_is_shown_once_it_is_prepared(tmp_path: Path) -> None:
    first, second = (RowShape(name, ("id",), {"id": "bigint"}) for name in ("first", "second"))
    with closing(DuckdbStore(tmp_path, [first])) as store:
        store.sink(1).prepare()
        store.sink(1).cutover()
    with closing(DuckdbStore(tmp_path, [first, second])) as store:
        assert store.instance().execute("FROM first").fetchall() == []
        store.sink(1).prepare()
        assert store.instance().execute("FROM second").fetchall() == []

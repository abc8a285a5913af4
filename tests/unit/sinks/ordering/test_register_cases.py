"""Tests of the rule's Python and Arrow forms, and of `MemorySink`, against the table of cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations

import pyarrow as pa
import pytest

from sinks.batch import PART_COLUMNS, Batch, Mutations
from sinks.memory import MemoryStore
from sinks.ordering.columns import ORDER_COLUMNS
from sinks.ordering.fold import compact, resolve
from sinks.ordering.range_tombstone import TombstoneKind
from sinks.ordering.register import EMPTY_REGISTER, Register, merge_registers, newest
from sinks.shape import ROOT, DocumentShape, tombstone_scope
from tests.unit.sinks.ordering.cases import CASES, SCOPE, Case, Side, Sided

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)

SCHEMA = pa.schema([*ORDER_COLUMNS, *PART_COLUMNS])
ORDERS = DocumentShape(SCOPE, {})
SIDE_OF_FENCE = {TombstoneKind.TRUNCATE: Side.STREAMED, TombstoneKind.SNAPSHOT_END: Side.SNAPSHOT}


@every_case
def test_a_row_is_as_in_its_case_in_any_order_and_grouping(case: Case) -> None:
    whole = [register_of(sided) for sided in with_fences(case)]
    for registers in permutations(whole):
        for cut in range(len(registers) + 1):
            joined = merge_registers(merge_registers(*registers[:cut]), merge_registers(*registers[cut:]))
            assert image_shown(joined) == case.shown
            assert sides_of(joined) == case.kept
            assert merge_registers(joined, *whole) == joined


@every_case
def test_a_row_is_shown_the_same_before_anything_is_dropped(case: Case) -> None:
    registers = [register_of(sided) for sided in with_fences(case)]
    whole = Register(
        newest(register.streamed for register in registers), newest(register.snapshot for register in registers)
    )
    assert image_shown(whole) == case.shown


@every_case
def test_a_table_of_changes_resolves_as_in_its_case(case: Case) -> None:
    for changes in permutations(with_fences(case)):
        settled = resolve(compact(table_of(changes), ORDERS.register_key), ORDERS.register_key)
        shown = settled.filter(settled["_shown"]).to_pylist()
        assert [row["image"] for row in shown] == [case.shown]
        assert [row["_deleted"] for row in shown] == [case.shown is None]
        assert settled["_is_snapshot"].to_pylist().count(True) == case.kept.count(Side.SNAPSHOT)
        assert settled["_is_snapshot"].to_pylist().count(False) == case.kept.count(Side.STREAMED)


@every_case
def test_a_sink_stores_the_registers_of_its_case_in_any_order_of_batches(case: Case) -> None:
    changes = [Batch((Mutations(SCOPE, table_of([sided])),)) for sided in case.changes]
    range_tombstones = [
        Batch(range_tombstones=(replace(range_tombstone, scope=tombstone_scope(SCOPE, ROOT)),))
        for range_tombstone in case.range_tombstones
    ]
    for batches in permutations([*changes, *range_tombstones]):
        store = MemoryStore([ORDERS])
        sink = store.sink(1)
        sink.prepare()
        for batch in batches:
            sink.write(batch)
        kept = store.held[1].registers[SCOPE, "1", ROOT]
        assert image_shown(kept) == case.shown
        assert sides_of(kept) == case.kept


def with_fences(case: Case) -> list[Sided]:
    """Return the changes of a case, and its range tombstones as changes of the row's partition."""
    return [
        *case.changes,
        *(
            (SIDE_OF_FENCE[range_tombstone.kind], range_tombstone.to_deletion(partition=0))
            for range_tombstone in case.range_tombstones
        ),
    ]


def register_of(sided: Sided) -> Register:
    """Return a register that holds only this change."""
    side, change = sided
    return Register(streamed=change) if side is Side.STREAMED else Register(snapshot=change)


def sides_of(register: Register) -> tuple[Side, ...]:
    """Return the sides that a register holds."""
    return tuple(side for side, change in zip(Side, register, strict=True) if change is not None)


def image_shown(register: Register) -> object:
    """Return the visible image of a row, or None."""
    assert register != EMPTY_REGISTER
    return register.visible.image if register.visible else None


def table_of(changes: Iterable[Sided]) -> pa.Table:
    """Return changes of the one row as a table of mutations."""
    rows = [
        {
            **{f"_{name}": value for name, value in change._asdict().items() if name != "image"},
            "_is_snapshot": side is Side.SNAPSHOT,
            "key": "1",
            "part": ROOT,
            "image": change.image,
        }
        for side, change in changes
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)

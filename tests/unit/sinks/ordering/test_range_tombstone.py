"""Tests of a sweep over rows with a known offset, and over repaired rows."""

from __future__ import annotations

import pytest

from sinks.ordering.range_tombstone import RangeTombstone, RangeTombstones, TombstoneKind
from sinks.ordering.register import NO_OFFSET, NO_PARTITION, REPAIR_TIEBREAK, Change, Register, merge_registers

SWEEP = RangeTombstone(
    scope="items", kind=TombstoneKind.SNAPSHOT_END, epoch=0, commit_lsn=1320, lsn=1320, started_at={0: 2, 1: 9}
)
BEFORE_THE_SWEEP = Register(Change(0, 1230, 1160, 0, 6, 1, deleted=False, image="old"))


def fenced(register: Register) -> Register:
    """Return the register, merged with the sweep of its partition."""
    change = register.streamed or register.snapshot
    assert change is not None
    return merge_registers(register, RangeTombstones().merge([SWEEP]).for_row("items", change.partition))


@pytest.mark.parametrize("repaired_at", [1210, 1300])
def test_a_sweep_that_met_a_repair_first_still_beats_what_came_before_its_snapshot(repaired_at: int) -> None:
    repair = Register(
        Change(0, repaired_at, repaired_at, REPAIR_TIEBREAK, NO_OFFSET, NO_PARTITION, deleted=False, image="repaired")
    )
    for first, second in ((repair, BEFORE_THE_SWEEP), (BEFORE_THE_SWEEP, repair)):
        assert not fenced(merge_registers(fenced(first), second)).is_alive


def test_changes_streamed_after_the_sweep_began_are_visible_even_if_the_sweep_met_a_repair_first() -> None:
    repair = Register(Change(0, 1210, 1210, REPAIR_TIEBREAK, NO_OFFSET, NO_PARTITION, deleted=True))
    after = Register(Change(0, 1230, 1160, 0, 9, 1, deleted=False, image="new"))
    shown = fenced(merge_registers(fenced(repair), after)).visible
    assert shown is not None
    assert shown.image == "new"

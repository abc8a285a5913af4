"""Tests that merging is commutative, associative and idempotent."""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from sinks.ordering.register import (
    EMPTY_REGISTER,
    NO_OFFSET,
    REPAIR_TIEBREAK,
    SNAPSHOT_ROW_TIEBREAK,
    Change,
    Register,
    merge_registers,
)
from tests.model_based.projection import Name, part_changes
from tests.model_based.readmodel import register_of
from tests.model_based.scenario import Scenario, scenarios
from tests.support.profiles import times


def version(*order: int) -> Change:
    """Return the only possible version of a row at a position."""
    epoch, commit_lsn, lsn, tie, offset = order
    deleted = (commit_lsn + lsn + offset) % 3 == 0
    return Change(epoch, commit_lsn, lsn, tie, offset, 0, deleted, None if deleted else str(order))


@st.composite
def streamed_changes(draw: st.DrawFn) -> Change:
    """Draw any change that a source can emit: it precedes its own commit, which is the next after its last commit."""
    commits = draw(st.integers(0, 3))
    lsn = draw(st.integers(1, 10 * commits + 9))
    tie = draw(st.sampled_from([0, REPAIR_TIEBREAK]))
    return version(draw(st.integers(0, 1)), 10 * commits, lsn, tie, draw(st.integers(NO_OFFSET, 3)))


@st.composite
def snapshot_changes(draw: st.DrawFn) -> Change:
    """Draw any snapshot row, or the effect of the snapshot's sweep on a row."""
    lsn = draw(st.integers(0, 40))
    tie = draw(st.sampled_from([0, SNAPSHOT_ROW_TIEBREAK]))
    return version(draw(st.integers(0, 1)), lsn, lsn, tie, draw(st.integers(NO_OFFSET, 3)))


any_registers = st.builds(Register, st.none() | streamed_changes(), st.none() | snapshot_changes())


@times(5)
@given(several=st.lists(any_registers, min_size=1, max_size=4))
def test_registers_join_to_the_same_in_any_order_and_grouping(several: list[Register]) -> None:
    joined = merge_registers(*several)
    for arranged in permutations(several):
        for cut in range(len(arranged) + 1):
            assert merge_registers(merge_registers(*arranged[:cut]), merge_registers(*arranged[cut:])) == joined
    assert merge_registers(joined, joined) == joined
    assert merge_registers(joined, *several) == joined


@times(10)
@given(scenario=scenarios(), grouping=st.binary(min_size=64, max_size=64))
def test_registers_of_a_history_join_to_the_same_in_any_order_and_grouping(scenario: Scenario, grouping: bytes) -> None:
    for a, b, c in in_threes(scenario, grouping).values():
        assert merge_registers(a, b) == merge_registers(b, a)
        assert (
            merge_registers(a, merge_registers(b, c))
            == merge_registers(merge_registers(a, b), c)
            == merge_registers(a, b, c)
        )
        assert merge_registers(a, a) == a
        assert merge_registers(merge_registers(a, b), a) == merge_registers(a, b)


def test_grouping_would_matter_if_a_change_lay_past_its_own_commit() -> None:
    # No source emits this: the transaction of the first change committed at 6, and the change lies at 100.
    streamed = Register(streamed=version(0, 5, 100, 0, 0))
    since = Register(streamed=version(0, 6, 7, 0, 1))
    snapshot = Register(snapshot=version(0, 50, 50, SNAPSHOT_ROW_TIEBREAK, 2))
    assert merge_registers(merge_registers(streamed, snapshot), since) != merge_registers(
        streamed, merge_registers(snapshot, since)
    )


def test_order_would_matter_if_two_versions_shared_a_place() -> None:
    one = Register(streamed=version(0, 10, 11, 0, 0))
    other = Register(streamed=version(0, 10, 11, 0, 0)._replace(image="another"))
    assert merge_registers(one, other) != merge_registers(other, one)


@times(5)
@given(scenario=scenarios())
def test_of_two_streamed_changes_of_a_row_the_newer_never_proves_less(scenario: Scenario) -> None:
    streamed: dict[tuple[Name, int], list[Change]] = defaultdict(list)
    for name, is_snapshot, change, _ in part_changes(scenario.history.records):
        if not is_snapshot:
            streamed[name, change.epoch].append(change)
    for changes in streamed.values():
        proved = [max(change.commit_lsn, change.lsn) for change in sorted(changes, key=lambda change: change.order)]
        assert proved == sorted(proved)


def in_threes(scenario: Scenario, grouping: bytes) -> dict[Name, list[Register]]:
    """Return three registers per name, each merged from some of its changes."""
    groups: dict[Name, list[Register]] = defaultdict(lambda: [EMPTY_REGISTER] * 3)
    for index, change in enumerate(part_changes(scenario.history.records)):
        group = groups[change.name]
        chosen = grouping[index % len(grouping)] % len(group)
        group[chosen] = merge_registers(group[chosen], register_of(change))
    return groups

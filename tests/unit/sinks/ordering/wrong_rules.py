"""Wrong ordering rules, each with one fault, which the property tests must detect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.ordering.register import EMPTY_REGISTER, Change, Register, merge_registers, supersedes, wins_over
from tests.model_based.connector import Record
from tests.model_based.projection import DOCUMENTS, ROWS, Name, Projection, Sided, part_changes, row_changes, sided
from tests.model_based.readmodel import Rule

Order = Callable[[Change], Any]
Comparison = Callable[[Change, Change], bool]
"""A comparison of a streamed change and a snapshot row: true if the streamed change wins."""


@dataclass(frozen=True)
class Wrong:
    """A wrong rule, and the form of read model in which its fault shows."""

    name: str
    rule: Rule
    projection: Projection = ROWS


def one_side(order: Order) -> Rule:
    """Return the rule of a register of one change, the highest in some order."""

    def join_one(*registers: Register) -> Register:
        return Register(streamed=_highest((change for register in registers for change in register), order))

    return Rule(join_one, join_one)


def two_sides(
    streamed: Order = lambda change: change.order,
    snapshot: Order = lambda change: change.order,
    proves: Comparison = supersedes,
    shows: Comparison = wins_over,
) -> Rule:
    """Return the real rule, except for the given pieces."""

    def join_two(*registers: Register) -> Register:
        joined = Register(
            _highest((register.streamed for register in registers), streamed),
            _highest((register.snapshot for register in registers), snapshot),
        )
        if joined.streamed is None or joined.snapshot is None:
            return joined
        return joined._replace(snapshot=None) if proves(joined.streamed, joined.snapshot) else joined

    def show(register: Register) -> Change | None:
        if register.streamed is None or register.snapshot is None:
            return register.streamed or register.snapshot
        return register.streamed if shows(register.streamed, register.snapshot) else register.snapshot

    return Rule(join_two, join_two, show)


def _highest(changes: Iterable[Change | None], order: Order) -> Change | None:
    return max((change for change in changes if change is not None), key=order, default=None)


def _epoch_first(wins: Comparison) -> Comparison:
    return lambda streamed, row: wins(streamed, row) if streamed.epoch == row.epoch else streamed.epoch > row.epoch


def _is_emitted_later(streamed: Change, row: Change) -> bool:
    return streamed.offset > row.offset


def _has_a_later_lsn(streamed: Change, row: Change) -> bool:
    return streamed.lsn >= row.lsn


def _last_of_each_side(*registers: Register) -> Register:
    joined = EMPTY_REGISTER
    for register in registers:
        joined = Register(register.streamed or joined.streamed, register.snapshot or joined.snapshot)
    return joined


def _only_what_is_shown(*registers: Register) -> Register:
    joined = merge_registers(*registers)
    return Register(streamed=joined.streamed) if joined.visible is joined.streamed else joined._replace(streamed=None)


def _without_deletions(*registers: Register) -> Register:
    joined = merge_registers(*registers)
    return joined if joined.is_alive else EMPTY_REGISTER


def _without(kind: TombstoneKind) -> Rule:
    return Rule(
        range_tombstones=lambda range_tombstones: [
            range_tombstone for range_tombstone in range_tombstones if range_tombstone.kind is not kind
        ]
    )


def _sweeps_from_offset_zero(range_tombstones: Iterable[RangeTombstone]) -> Iterable[RangeTombstone]:
    return [replace(range_tombstone, started_at={}) for range_tombstone in range_tombstones]


def _missing_last_commit_lowest(records: Iterable[Record]) -> Iterator[Sided]:
    return row_changes(record._replace(last_commit=record.last_commit or 0) for record in records)


def _folded_before_the_fan_out(records: Iterable[Record]) -> Iterator[Sided]:
    newest: dict[tuple[object, bool], Record] = {}
    for record in sorted(records, key=lambda record: sided(Name(record.row), record, None).change.order):
        newest[record.row, record.is_snapshot] = record
    return part_changes(newest.values())


WRONG = (
    Wrong("the LSN alone orders", one_side(lambda change: (change.epoch, change.lsn))),
    Wrong("the sequence alone orders, snapshot rows like streamed changes", one_side(lambda change: change.order)),
    Wrong("the offset alone orders", one_side(lambda change: (change.epoch, change.offset))),
    Wrong("a missing last commit is the lowest", Rule(), ROWS._replace(changes=_missing_last_commit_lowest)),
    Wrong("of one change emitted twice the last counts", two_sides(lambda change: (*change.order[:4], change.offset))),
    Wrong("the snapshot row that is emitted last counts", two_sides(snapshot=lambda change: change.offset)),
    Wrong("the epoch does not lead", two_sides(lambda change: change.order[1:], lambda change: change.order[1:])),
    Wrong(
        "the offset alone decides between the sides",
        two_sides(
            proves=lambda streamed, row: streamed.epoch > row.epoch,
            shows=_epoch_first(_is_emitted_later),
        ),
    ),
    Wrong(
        "the last commit does not decide between the sides",
        two_sides(proves=_epoch_first(_has_a_later_lsn), shows=_epoch_first(_has_a_later_lsn)),
    ),
    Wrong("what no LSN proves is not shown", two_sides(shows=supersedes)),
    Wrong("the undecided side that is not shown is dropped", Rule(_only_what_is_shown, _only_what_is_shown)),
    Wrong("deletions are forgotten", Rule(join=_without_deletions)),
    Wrong("snapshots are not swept", _without(TombstoneKind.SNAPSHOT_END)),
    Wrong("truncates are not heeded", _without(TombstoneKind.TRUNCATE)),
    Wrong("every sweep began at offset zero", Rule(range_tombstones=_sweeps_from_offset_zero)),
    Wrong("a batch is folded to the last change of every row", Rule(fold=_last_of_each_side)),
    Wrong(
        "records are folded before they fan out to documents",
        Rule(),
        DOCUMENTS._replace(changes=_folded_before_the_fan_out),
    ),
)

"""Tests of the table of cases of snapshots: each has logs that it decides, and the guide lists all in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from connectors.notifications import SnapshotStatus
from pipeline.log_scan.finding import FindingReason
from pipeline.log_scan.scan import LogScan, PartitionLog
from pipeline.log_scan.snapshot_cases import CASES, LOWEST_LSN, SnapshotFacts, assess_snapshots, case_of
from pipeline.log_scan.statistics import StreamedStatistics
from sinks.ordering.range_tombstone import RangeTombstone
from tests.unit.pipeline.log_scan.logs import (
    ABORTED,
    AGAIN,
    LAST,
    READ_NONE,
    READ_SOME,
    RESTARTED,
    RUNNING,
    SCOPES,
    UNPLACED,
    WHOLE,
    surveyed,
    sweep,
)

GUIDE = Path(__file__).parents[4] / "docs" / "operations" / "offset-zero.md"

EMPTY = surveyed(PartitionLog(earliest=0, end=9), PartitionLog(earliest=0, end=9), set())
FOUND_NONE = SnapshotStatus(has_ended=True, rows=READ_NONE)
FOUND_SOME = SnapshotStatus(has_ended=True, rows=READ_SOME)


@dataclass(frozen=True)
class Example:
    """A log, and the result of its case: the LSN of the sweeps, or the reason of the refusal."""

    scan: LogScan
    swept_at: int | None = None
    refused: FindingReason | None = None
    epoch: int = 0
    recorded: Sequence[RangeTombstone] = ()


EXAMPLES: Mapping[str, Sequence[Example]] = {
    "the last snapshot has not ended": (
        Example(RUNNING, refused=FindingReason.SNAPSHOT_UNFINISHED),
        Example(replace(EMPTY, told=SnapshotStatus()), refused=FindingReason.SNAPSHOT_UNFINISHED),
        Example(
            replace(AGAIN, ended_snapshots=frozenset({ABORTED})),
            refused=FindingReason.SNAPSHOT_UNFINISHED,
            recorded=[sweep(scope, LAST) for scope in SCOPES],
        ),
    ),
    "no snapshot has read a table": (
        Example(replace(WHOLE, never_read=("public.items",)), refused=FindingReason.SNAPSHOT_MISSING),
        Example(replace(RESTARTED, never_read=("public.items",)), refused=FindingReason.SNAPSHOT_MISSING, epoch=1),
    ),
    "the snapshot of a later epoch has not begun": (
        Example(EMPTY, refused=FindingReason.SNAPSHOT_UNFINISHED, epoch=1),
    ),
    "the snapshot of a later epoch found no rows": (
        Example(replace(EMPTY, told=FOUND_NONE), swept_at=LOWEST_LSN, epoch=2),
    ),
    "the first epoch has no snapshot rows": (Example(EMPTY), Example(replace(EMPTY, told=FOUND_NONE))),
    "the first epoch has one snapshot, and nothing before it": (
        Example(WHOLE),
        Example(replace(WHOLE, told=FOUND_SOME)),
    ),
    "the start of the last snapshot was recorded": (
        Example(AGAIN, recorded=[sweep(scope, LAST) for scope in SCOPES]),
        Example(WHOLE, recorded=[sweep(scope, LAST) for scope in SCOPES], epoch=1),
    ),
    "a change was streamed before the last snapshot": (
        Example(AGAIN, refused=FindingReason.SNAPSHOT_AMBIGUOUS),
        Example(replace(AGAIN, told=FOUND_SOME), refused=FindingReason.SNAPSHOT_AMBIGUOUS),
        Example(AGAIN, refused=FindingReason.SNAPSHOT_AMBIGUOUS, recorded=[sweep("orders", LAST)], epoch=1),
    ),
    "a later epoch began with its snapshot": (
        Example(WHOLE, swept_at=LAST, epoch=1),
        Example(UNPLACED, swept_at=LAST, epoch=1),
        Example(replace(WHOLE, told=FOUND_NONE), swept_at=LAST + 1, epoch=1),
    ),
    "every change follows the start of the last snapshot": (Example(RESTARTED, swept_at=LAST),),
    "the connector reports that no earlier snapshot had ended": (
        Example(replace(UNPLACED, told=FOUND_SOME), swept_at=LAST),
        Example(replace(WHOLE, told=FOUND_NONE), swept_at=LAST + 1),
    ),
    "nothing proves where the last snapshot began": (
        Example(UNPLACED, refused=FindingReason.SNAPSHOT_AMBIGUOUS),
        Example(
            replace(WHOLE, told=replace(FOUND_NONE, is_first=False)),
            refused=FindingReason.SNAPSHOT_AMBIGUOUS,
        ),
    ),
}


@pytest.mark.parametrize(("name", "example"), [(name, one) for name, examples in EXAMPLES.items() for one in examples])
def test_a_log_is_decided_by_its_case(name: str, example: Example) -> None:
    assert case_of(SnapshotFacts(example.scan, example.epoch, SCOPES, example.recorded)).name == name
    swept, findings = assess_snapshots(example.scan, SCOPES, example.recorded, example.epoch)
    expected = [] if example.swept_at is None else [sweep(scope, example.swept_at) for scope in SCOPES]
    assert swept == [replace(one, epoch=example.epoch) for one in expected]
    assert [one.reason for one in findings] == ([] if example.refused is None else [example.refused])


def test_every_case_has_an_example_and_a_line_in_the_guide() -> None:
    names = [case.name for case in CASES]
    assert [*EXAMPLES] == names
    lines = [line for line in GUIDE.read_text().splitlines() if line.startswith("| ")]
    assert [name for line in lines for name in names if line.startswith(f"| {name} |")] == names


def test_the_end_of_a_snapshot_is_doubted_in_every_case_that_needs_it_and_lacks_a_proof() -> None:
    streamed = {place: replace(log, streamed=StreamedStatistics(20, LAST)) for place, log in RUNNING.partitions.items()}
    unproved = replace(RUNNING, partitions=streamed)
    for epoch in (0, 1):
        _, findings = assess_snapshots(unproved, SCOPES, (), epoch)
        assert [one.reason for one in findings] == [FindingReason.SNAPSHOT_END_MISSING]

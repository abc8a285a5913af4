"""Cases of the snapshots in a log: the sweeps that a rebuild needs, or the reason to refuse it.

A snapshot reads existing rows and reports no deletions. If an attempt was interrupted and started again, the log keeps
rows that were deleted in between; a second snapshot has the same effect. If the log is complete, a sweep at the last
snapshot's LSN corrects that: it supersedes the rows of earlier snapshots, and loses to the last one's rows and to later
streamed changes. Changes streamed *before* the last snapshot must be swept too, so the sweep needs the offsets at which
the snapshot began. Offset zero is right if nothing was streamed before it. There are three proofs of that: every
streamed change was committed at or past its LSN; or lies after one of its rows in the same partition; or the connector
reports that no earlier attempt was completed (it streams nothing until one is). Otherwise only a range tombstone
recorded when the snapshot was started has these offsets.

If no snapshot has read a table, its older rows are missing in the log, even if the snapshot has ended: the table was
captured later, or the snapshot failed before its first row. An incremental snapshot of the table supplies them.

A snapshot is complete if its last row, which Debezium marks, is in the log; or if anything was streamed; or if the
connector reports it. If the next attempt found no rows at all, the log contains no record with its LSN. Then only the
connector reports that attempt, and the sweep is placed just above the known LSN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.log_scan.finding import FindingReason, LogFinding
from pipeline.log_scan.scan import LogScan, PartitionLog
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind

LOWEST_LSN = 1
"""LSN that ranks below every streamed change of its epoch, and above every earlier epoch."""


@dataclass(frozen=True)
class SnapshotFacts:
    """Facts about the snapshots in a log.

    Args:
        epoch: the current epoch of the log. Every epoch but the first begins while the connector is stopped, and so
            with a snapshot, which has to sweep earlier rows.
        scopes: scopes of the model.
        recorded: range tombstones that were recorded when a snapshot was started.
    """

    scan: LogScan
    epoch: int
    scopes: Sequence[str]
    recorded: Sequence[RangeTombstone]

    @property
    def last(self) -> int | None:
        """LSN of the last snapshot that has rows in the log; None if there are no such rows."""
        return self.scan.snapshot_lsns[-1] if self.scan.snapshot_lsns else None

    @property
    def is_known(self) -> bool:
        """True if the log or the connector reports a snapshot."""
        return self.last is not None or self.scan.told is not None

    @property
    def has_ended(self) -> bool:
        """True if the last snapshot has ended: by its last row, by a change streamed since, or by the connector."""
        is_streamed = any(log.streamed for log in self.scan.partitions.values())
        return self.is_end_proved or (is_streamed and not self.is_after_streamed)

    @property
    def is_end_proved(self) -> bool:
        """True if no later snapshot can have found no rows."""
        return self.last in self.scan.ended_snapshots or self._is_reported_ended

    @property
    def is_after_streamed(self) -> bool:
        """True if a change was streamed before a row of the last snapshot."""
        return any(_is_streamed_before(self.last, log) for log in self.scan.partitions.values())

    @property
    def is_followed_by_empty(self) -> bool:
        """True if the connector reports that the last snapshot read all of these tables and found no rows."""
        rows = self.scan.told.rows if self.scan.told else {}
        counts = [[rows[table] for table in rows if topic.endswith(f".{table}")] for topic in self.scan.topics]
        return self._is_reported_ended and all(found == [0] for found in counts)

    @property
    def sweep_lsn(self) -> int:
        """LSN at which the rows of earlier snapshots are swept."""
        if self.last is None:
            return LOWEST_LSN
        return self.last + 1 if self.is_followed_by_empty else self.last

    @property
    def is_recorded(self) -> bool:
        """True if the start of the last snapshot was recorded for every scope."""
        return {one.scope for one in self.recorded if one.lsn >= self.sweep_lsn} >= {*self.scopes}

    @property
    def is_reported_first(self) -> bool:
        """True if the connector reports that no earlier attempt had ended."""
        return self.scan.told is not None and self.scan.told.is_first

    @property
    def is_before_streamed(self) -> bool:
        """True if everything streamed was provably streamed after the last snapshot began."""
        last = self.last
        return (
            last is not None
            and not self.is_followed_by_empty
            and all(_is_streamed_after(last, log) for log in self.scan.partitions.values())
        )

    @property
    def _is_reported_ended(self) -> bool:
        return self.scan.told is not None and self.scan.told.has_ended


Condition = Callable[[SnapshotFacts], bool]
Refusal = Callable[[SnapshotFacts], LogFinding]


@dataclass(frozen=True)
class SnapshotCase:
    """One case, which decides if it applies and no case before it does.

    Args:
        name: a sentence about the log.
        is_swept: true if the log lacks the sweep at `SnapshotFacts.sweep_lsn`.
        refusal: the fatal finding; None if the log is accepted.
        is_end_checked: true if it is a warning that nothing proves the end of the last snapshot.
    """

    name: str
    applies: Condition
    is_swept: bool = False
    refusal: Refusal | None = None
    is_end_checked: bool = False


def _unfinished(facts: SnapshotFacts) -> LogFinding:
    which = f"the snapshot at LSN {facts.last}" if facts.last is not None else "the snapshot that the connector reports"
    return LogFinding(FindingReason.SNAPSHOT_UNFINISHED, f"{which} has not ended")


def _missing(facts: SnapshotFacts) -> LogFinding:
    named = ", ".join(facts.scan.never_read)
    return LogFinding(FindingReason.SNAPSHOT_MISSING, f"no snapshot has read {named}: older rows are not in the log")


def _not_begun(facts: SnapshotFacts) -> LogFinding:
    sentence = f"the snapshot that begins epoch {facts.epoch} has not begun"
    return LogFinding(FindingReason.SNAPSHOT_UNFINISHED, sentence)


def _ambiguous(facts: SnapshotFacts) -> LogFinding:
    known = f"there are rows of snapshots at LSN {', '.join(map(str, facts.scan.snapshot_lsns))}"
    later = ", a later one found no rows" if facts.is_followed_by_empty else ""
    sentence = f"an aborted snapshot cannot be identified: {known}{later}"
    return LogFinding(FindingReason.SNAPSHOT_AMBIGUOUS, f"{sentence}, and the start of the last one is not recorded")


def _no_end(facts: SnapshotFacts) -> LogFinding:
    sentence = f"the last row of the snapshot at LSN {facts.last} is not in the log, and the connector reports nothing"
    return LogFinding(FindingReason.SNAPSHOT_END_MISSING, f"{sentence} about it: a later one may have found no rows")


CASES = (
    SnapshotCase(
        "the last snapshot has not ended",
        lambda facts: facts.is_known and not facts.has_ended,
        refusal=_unfinished,
    ),
    SnapshotCase(
        "no snapshot has read a table",
        lambda facts: bool(facts.scan.never_read),
        refusal=_missing,
    ),
    SnapshotCase(
        "the snapshot of a later epoch has not begun",
        lambda facts: not facts.is_known and facts.epoch > 0,
        refusal=_not_begun,
    ),
    SnapshotCase(
        "the snapshot of a later epoch found no rows",
        lambda facts: facts.last is None and facts.epoch > 0,
        is_swept=True,
    ),
    SnapshotCase(
        "the first epoch has no snapshot rows",
        lambda facts: facts.last is None,
    ),
    SnapshotCase(
        "the first epoch has one snapshot, and nothing before it",
        lambda facts: (
            facts.epoch == 0
            and len(facts.scan.snapshot_lsns) == 1
            and not (facts.is_followed_by_empty or facts.is_after_streamed)
        ),
        is_end_checked=True,
    ),
    SnapshotCase(
        "the start of the last snapshot was recorded",
        lambda facts: facts.is_recorded,
        is_end_checked=True,
    ),
    SnapshotCase(
        "a change was streamed before the last snapshot",
        lambda facts: facts.is_after_streamed,
        refusal=_ambiguous,
        is_end_checked=True,
    ),
    SnapshotCase(
        "a later epoch began with its snapshot",
        lambda facts: facts.epoch > 0,
        is_swept=True,
        is_end_checked=True,
    ),
    SnapshotCase(
        "every change follows the start of the last snapshot",
        lambda facts: facts.is_before_streamed,
        is_swept=True,
        is_end_checked=True,
    ),
    SnapshotCase(
        "the connector reports that no earlier snapshot had ended",
        lambda facts: facts.is_reported_first,
        is_swept=True,
        is_end_checked=True,
    ),
    SnapshotCase(
        "nothing proves where the last snapshot began",
        lambda _: True,
        refusal=_ambiguous,
        is_end_checked=True,
    ),
)
"""Cases in the order in which they are examined. The last one always applies."""


def case_of(facts: SnapshotFacts) -> SnapshotCase:
    """Return the first case that applies."""
    return next(case for case in CASES if case.applies(facts))


def assess_snapshots(
    scan: LogScan, scopes: Sequence[str], recorded: Sequence[RangeTombstone], epoch: int
) -> tuple[list[RangeTombstone], list[LogFinding]]:
    """Return the sweeps that the log lacks, and the findings about its snapshots."""
    facts = SnapshotFacts(scan, epoch, scopes, recorded)
    case = case_of(facts)
    findings = [] if case.refusal is None else [case.refusal(facts)]
    if case.is_end_checked and not facts.is_end_proved:
        findings.append(_no_end(facts))
    return _sweeps(facts) if case.is_swept else [], findings


def _sweeps(facts: SnapshotFacts) -> list[RangeTombstone]:
    lsn = facts.sweep_lsn
    return [
        RangeTombstone(scope=scope, kind=TombstoneKind.SNAPSHOT_END, epoch=facts.epoch, commit_lsn=lsn, lsn=lsn)
        for scope in facts.scopes
    ]


def _is_streamed_before(lsn: int | None, log: PartitionLog) -> bool:
    """Return whether a change was streamed before a row of this snapshot."""
    rows = log.snapshots.get(lsn) if lsn is not None else None
    return rows is not None and log.streamed is not None and log.streamed.first < rows.last


def _is_streamed_after(lsn: int, log: PartitionLog) -> bool:
    """Return whether everything streamed here was provably streamed after this snapshot began."""
    return log.streamed is None or log.streamed.least_lsn >= lsn or lsn in log.snapshots

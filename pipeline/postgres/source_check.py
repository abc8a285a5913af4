"""Check of the source: its current problems, and the gaps since the epoch began."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pipeline.ingest.log_mismatch import EpochMismatch, LogMismatch, MismatchReason
from pipeline.postgres.capture import Capture, SourceState, read_source
from pipeline.postgres.database import Connection
from pipeline.postgres.preconditions import PreconditionFailure, findings, gaps, require_ready
from pipeline.postgres.source_history import Gap, SourceHistory, SourceRecord
from pipeline.postgres.source_identity import Identity, altered, identity_of, rewritten

_MOMENT = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), pg_current_wal_lsn()::text"


@dataclass(frozen=True)
class SourceCheck:
    """State of the source, with the moment of the check: the source's clock and the end of its WAL."""

    source: SourceState
    moment: str

    @property
    def identity(self) -> Identity:
        """Identity of the source."""
        return identity_of(self.source)


def check_source(connection: Connection, capture: Capture) -> SourceCheck:
    """Read the state of the source. Changes nothing."""
    source = read_source(connection, capture)
    [(time, lsn)] = connection.execute(_MOMENT).fetchall()
    return SourceCheck(source, f"{time} UTC (LSN {lsn})")


def time_of(moment: str) -> datetime:
    """Convert the moment of a check to the time by the source's clock."""
    return datetime.fromisoformat(moment[: len("2026-01-02 03:04:05")]).replace(tzinfo=UTC)


def gaps_of(look: SourceCheck, known: SourceRecord, capture: Capture, last: str = "") -> list[Gap]:
    """Return the gaps of the log: current ones, those that left traces, and recorded ones.

    A source without a recorded identity has no gaps, because nothing was captured from it.

    Args:
        last: the moment of the last check; the recorded moment by default.
    """
    if known.identity is None:
        return []
    since = f"since a moment between {last or known.seen} and {look.moment}"
    found = [
        *(Gap(finding.problem, since, finding.remedy) for finding in gaps(look.source, capture)),
        *(Gap(problem, since) for problem in altered(known.identity, look.identity)),
    ]
    first_seen = {gap.problem: known.gaps.get(gap.problem, gap).since for gap in found}
    return list({**known.gaps, **{gap.problem: replace(gap, since=first_seen[gap.problem]) for gap in found}}.values())


def source_findings(look: SourceCheck, known: SourceRecord, capture: Capture) -> list[PreconditionFailure]:
    """Return every problem that the source has, or had since the epoch began, with its remedy."""
    found = gaps_of(look, known, capture)
    if not found:
        return findings(look.source, capture)
    named = {gap.problem for gap in found}
    others = [finding for finding in findings(look.source, capture) if finding.problem not in named]
    ended = [EpochMismatch([seen]) for seen in as_seen(found)]
    return [*(PreconditionFailure(str(one), one.remedy) for one in ended), *others]


def as_seen(found: list[Gap]) -> list[LogMismatch]:
    """Convert gaps to mismatches that end an epoch."""
    return [LogMismatch(MismatchReason.INCOMPLETE, f"{gap.problem}, {gap.since}", remedy=gap.remedy) for gap in found]


def require_whole(connection: Connection, capture: Capture, history: SourceHistory) -> None:
    """Refuse a source that is not ready, or whose log has gaps. New gaps are recorded.

    Raises:
        EpochMismatch: changes are missing in the log, or wrong.
        SourceNotReady: another problem was found.
        KafkaUnavailable: the history cannot be read or written.
    """
    look, known = check_source(connection, capture), history.read()
    found = remembered(look, known, capture, history)
    if found:
        raise EpochMismatch(as_seen(found))
    require_ready(connection, capture)
    # If a table was rewritten, the workers read the log first, and record the identity afterwards.
    if known.is_kept and not rewritten(known.identity or {}, look.identity):
        history.record_complete(look.identity, look.moment)


def remembered(
    look: SourceCheck, known: SourceRecord, capture: Capture, history: SourceHistory, last: str = ""
) -> list[Gap]:
    """Return the gaps of the log, and record new ones."""
    found = gaps_of(look, known, capture, last)
    for gap in found:
        if gap.problem not in known.gaps:
            history.record_gap(gap)
    return found

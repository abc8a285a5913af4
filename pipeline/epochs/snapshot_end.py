"""How an epoch's snapshot ended, and what is to be swept then: asked of the connector first, and of the log if need be.

An attempt that ran through at once, in the first epoch, has nothing to sweep. Where it was begun again, or an epoch was
before it, the log is surveyed: that reads it once, and happens once in an epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow.compute as pc

from connectors.kafka import earliest_offsets, end_offsets
from connectors.schema_lookup import AskedOnce
from pipeline import read_models
from pipeline.config import Settings
from pipeline.ingest.epoch_history import Lives
from pipeline.ingest.log_reader import Offsets, pieces
from pipeline.log_scan.assessment import judge_snapshots
from pipeline.log_scan.finding import Finding, Reason
from pipeline.log_scan.scan import survey
from pipeline.log_scan.snapshot_status import told_of_snapshots
from sinks.ordering.range_tombstone import Fence

FIRST_RECORDS = 8
"""Of each partition, so many offsets are read to find the LSN of a snapshot that begins it."""


@dataclass(frozen=True)
class Settlement:
    """How a snapshot ended.

    Args:
        snapshot_lsn: zero where it found no rows.
        fences: the sweeps of what it left.
        passed_at: where a generation holds all of it.
    """

    snapshot_lsn: int
    fences: tuple[Fence, ...] = ()
    passed_at: Offsets = field(default_factory=dict)


class SnapshotUnclear(Exception):
    """The log does not tell what a snapshot left, so nothing of it can be swept.

    Args:
        finding: what stands in the way.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.sentence)
        self.remedy = (
            "`readmodels verify` names the rows that readers should not see; `readmodels verify --repair --execute` "
            "removes them."
        )


class _Nobody:
    def surveying(self, reached: Offsets, ends: Offsets) -> None:
        pass


def settlement(settings: Settings, lives: Lives, scopes: Sequence[str], *, is_doubtful: bool) -> Settlement | None:
    """What there is to do at the end of the snapshot of the epoch that is now; None while it goes on, or lacks a table.

    Args:
        scopes: those of the model, see `judgement.scopes_of`.
        is_doubtful: whether the log is to be asked where the connector tells of no end: it may have died before.

    Raises:
        SnapshotUnclear: it has ended, and what it left cannot be told.
        KafkaUnavailable, RegistryUnavailable: they do not answer.
    """
    admin = settings.kafka.admin()
    told = told_of_snapshots(settings, admin, AskedOnce(read_models.registry(settings)), lives.begins_at())
    if told is not None and told.has_ended and told.lacks(table.source for table in settings.tables.values()):
        return None
    if told is not None and told.has_ended and told.attempts == 1 and lives.leading == 0:
        return Settlement(_first_lsn(settings))
    if (told is None or not told.has_ended) and not is_doubtful:
        return None
    found = survey(settings, _Nobody(), lives)
    fences, findings = judge_snapshots(found, scopes, (), lives.leading)
    is_empty = told is None and not any(found.ends.values())
    if is_empty or any(one.reason is Reason.SNAPSHOT_UNFINISHED for one in findings):
        return None
    fatal = next((one for one in findings if one.is_fatal), None)
    if fatal is not None:
        raise SnapshotUnclear(fatal)
    lsn = max((*found.snapshot_lsns, *(fence.lsn for fence in fences)), default=0)
    return Settlement(lsn, tuple(fences), found.ends)


def _first_lsn(settings: Settings) -> int:
    """The LSN of the snapshot that the log begins with; zero where it begins with none."""
    admin, topics = settings.kafka.admin(), settings.contract.topics
    starts, ends = earliest_offsets(admin, topics), end_offsets(admin, topics)
    until = {shard: min(end, starts[shard] + FIRST_RECORDS) for shard, end in ends.items()}
    decoder, lsns = read_models.decoder(settings), [0]
    for piece in pieces(settings.kafka, starts, until):
        for records in piece.records:
            for envelopes in decoder.decode(records).envelopes:
                rows = envelopes.filter(envelopes["snapshot"])
                lsns += [pc.max(rows["lsn"]).as_py()] if rows.num_rows else []
    return max(lsns)

"""How an epoch's snapshot ended, and what is to be swept then: asked of the connector first, and of the log if need be.

An attempt that ran through at once, in the first epoch, has nothing to sweep. Where it was begun again, or an epoch was
before it, the log is surveyed: that reads it once, and happens once in an epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow.compute as pc

from connectors.kafka import earliest_offsets, end_offsets
from connectors.schema_lookup import NegativeCache
from pipeline import read_models
from pipeline.config import Settings
from pipeline.ingest.epoch_history import EpochHistory
from pipeline.ingest.log_reader import Offsets, read_log
from pipeline.log_scan.assessment import assess_snapshots
from pipeline.log_scan.finding import FindingReason, LogFinding
from pipeline.log_scan.scan import scan_log
from pipeline.log_scan.snapshot_status import read_snapshot_status
from sinks.ordering.range_tombstone import RangeTombstone

FIRST_RECORDS = 8
"""Of each partition, so many offsets are read to find the LSN of a snapshot that begins it."""


@dataclass(frozen=True)
class SnapshotEnd:
    """How a snapshot ended.

    Args:
        snapshot_lsn: zero where it found no rows.
        range_tombstones: the sweeps of what it left.
        passed_at: where a generation holds all of it.
    """

    snapshot_lsn: int
    range_tombstones: tuple[RangeTombstone, ...] = ()
    end_offsets: Offsets = field(default_factory=dict)


class SnapshotEndUnknown(Exception):
    """The log does not tell what a snapshot left, so nothing of it can be swept.

    Args:
        finding: what stands in the way.
    """

    def __init__(self, finding: LogFinding) -> None:
        super().__init__(finding.sentence)
        self.remedy = (
            "`readmodels verify` names the rows that readers should not see; `readmodels verify --repair --execute` "
            "removes them."
        )


class _Nobody:
    def surveying(self, reached: Offsets, ends: Offsets) -> None:
        pass


def find_snapshot_end(
    settings: Settings, epoch_history: EpochHistory, scopes: Sequence[str], *, is_doubtful: bool
) -> SnapshotEnd | None:
    """What there is to do at the end of the snapshot of the epoch that is now; None while it goes on, or lacks a table.

    Args:
        scopes: those of the model, see `judgement.scopes_of`.
        is_doubtful: whether the log is to be asked where the connector tells of no end: it may have died before.

    Raises:
        SnapshotEndUnknown: it has ended, and what it left cannot be told.
        KafkaUnavailable, RegistryUnavailable: they do not answer.
    """
    admin = settings.kafka.admin()
    told = read_snapshot_status(
        settings, admin, NegativeCache(read_models.registry(settings)), epoch_history.begins_at()
    )
    if told is not None and told.has_ended and told.lacks(table.source for table in settings.tables.values()):
        return None
    if told is not None and told.has_ended and told.attempts == 1 and epoch_history.ordering_epoch == 0:
        return SnapshotEnd(_first_lsn(settings))
    if (told is None or not told.has_ended) and not is_doubtful:
        return None
    found = scan_log(settings, _Nobody(), epoch_history)
    range_tombstones, findings = assess_snapshots(found, scopes, (), epoch_history.ordering_epoch)
    is_empty = told is None and not any(found.ends.values())
    if is_empty or any(one.reason is FindingReason.SNAPSHOT_UNFINISHED for one in findings):
        return None
    fatal = next((one for one in findings if one.is_fatal), None)
    if fatal is not None:
        raise SnapshotEndUnknown(fatal)
    lsn = max((*found.snapshot_lsns, *(range_tombstone.lsn for range_tombstone in range_tombstones)), default=0)
    return SnapshotEnd(lsn, tuple(range_tombstones), found.ends)


def _first_lsn(settings: Settings) -> int:
    """The LSN of the snapshot that the log begins with; zero where it begins with none."""
    admin, topics = settings.kafka.admin(), settings.definitions.topics
    starts, ends = earliest_offsets(admin, topics), end_offsets(admin, topics)
    until = {
        topic_partition: min(end, starts[topic_partition] + FIRST_RECORDS) for topic_partition, end in ends.items()
    }
    decoder, lsns = read_models.decoder(settings), [0]
    for piece in read_log(settings.kafka, starts, until):
        for records in piece.records:
            for envelopes in decoder.decode(records).envelopes:
                rows = envelopes.filter(envelopes["snapshot"])
                lsns += [pc.max(rows["lsn"]).as_py()] if rows.num_rows else []
    return max(lsns)

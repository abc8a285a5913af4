"""End of an epoch's snapshot, and its sweeps: determined from the connector's notifications first, from the log if
needed.

In the first epoch, an attempt that succeeded at once requires no sweep. If it was started again, or an epoch preceded
it, the log is scanned: it is read once, and once per epoch.
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
from pipeline.ingest.log_reader import read_log
from pipeline.log_scan.finding import FindingReason, LogFinding
from pipeline.log_scan.scan import scan_log
from pipeline.log_scan.snapshot_cases import assess_snapshots
from pipeline.log_scan.snapshot_status import read_snapshot_status
from sinks.batch import Offsets
from sinks.ordering.range_tombstone import RangeTombstone

FIRST_RECORDS = 8
"""Number of offsets of each partition that are read to find the LSN of a snapshot at its start."""


@dataclass(frozen=True)
class SnapshotEnd:
    """Result of a snapshot.

    Args:
        snapshot_lsn: zero if it found no rows.
        range_tombstones: the sweeps of rows that it left.
        end_offsets: the progress at which a generation has all of it.
    """

    snapshot_lsn: int
    range_tombstones: tuple[RangeTombstone, ...] = ()
    end_offsets: Offsets = field(default_factory=dict)


class SnapshotEndUnknown(Exception):
    """The log does not show which rows a snapshot left, so none of them can be swept.

    Args:
        finding: the reason.
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
    """Return the required sweeps once the current epoch's snapshot has ended; None while it runs, or lacks a table.

    Args:
        scopes: scopes of the model, see `assessment.scopes_of`.
        is_doubtful: whether to scan the log if the connector reports no end, because it may have failed before it
            could.

    Raises:
        SnapshotEndUnknown: it has ended, and the rows that it left are unknown.
        KafkaUnavailable, RegistryUnavailable: a service does not answer.
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
    """Return the LSN of the snapshot at the start of the log; zero if there is none."""
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

"""Snapshots that a deployment needs, so that every captured table is read completely once.

The connector's initial snapshot reads a table. An incremental snapshot reads it later in two cases: the table was
captured later, or the initial snapshot failed before its first row, which the connector treats as a completed snapshot.
All changes since the table was captured are streamed in either case, so an incremental snapshot makes the log complete.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from connectors.errors import SourceContractViolation
from connectors.kafka_connect import ConnectClient, ConnectorFailed
from connectors.notifications import SnapshotStatus
from connectors.schema_lookup import NegativeCache
from pipeline import read_models
from pipeline.config import Settings
from pipeline.log_scan.snapshot_status import read_snapshot_status
from pipeline.postgres.incremental_snapshot import SnapshotProgress, SnapshotRequest
from pipeline.postgres.preconditions import PreconditionFailure
from pipeline.setup.source import UNCHANGED

WAIT_S = 60.0
"""Time that set-up waits for the initial snapshot. A large one continues in the background."""
LOOK_EVERY_S = 1.0

RESNAPSHOT = "`readmodels epoch open --resnapshot --execute`"


class SnapshotIncomplete(SourceContractViolation):
    """Tables have rows that are not in the log."""

    def __init__(self, findings: list[PreconditionFailure]) -> None:
        super().__init__("; ".join(finding.problem for finding in findings))
        self.remedy = " ".join(finding.remedy for finding in findings)


def read_snapshots(settings: Settings) -> SnapshotStatus | None:
    """Read the connector's report about its snapshots; None if it reports none, or some notifications are gone.

    Raises:
        KafkaUnavailable: the brokers did not answer.
        RegistryUnavailable: the schema registry did not answer.
    """
    # Keep a reference: a garbage-collected AdminClient never completes its futures.
    admin = settings.kafka.admin()
    return read_snapshot_status(settings, admin, NegativeCache(read_models.registry(settings)))


def snapshot_findings(told: SnapshotStatus | None, settings: Settings) -> list[PreconditionFailure]:
    """Return findings for captured tables that no snapshot has read, and for a snapshot that has not ended."""
    connector = settings.connector
    if told is None:
        problem = f"topic {connector.notification_topic} does not tell whether a snapshot has read the tables"
        remedy = f"Run `readmodels init`, which waits for the snapshot. If it has begun long ago: {RESNAPSHOT}."
        return [PreconditionFailure(problem, remedy)]
    if not told.has_ended:
        again = f", in attempt {told.attempts}" if told.attempts > 1 else ""
        problem = f"the initial snapshot has not ended{again}: {_progress(told, settings)}"
        remedy = (
            "Wait for it. If it begins again and again, `readmodels init` names a missing right, and Kafka Connect's "
            "log any other cause."
        )
        return [PreconditionFailure(problem, remedy)]
    return [
        PreconditionFailure(
            f"no snapshot has read {table}: its rows from before it was captured are in no read model",
            "Run `readmodels init`, which has the connector read what is missing.",
        )
        for table in told.lacks(connector.tables)
    ]


def require_snapshots(settings: Settings) -> None:
    """Refuse a log that lacks rows.

    Raises:
        SnapshotIncomplete: a table was not read, or not yet.
        KafkaUnavailable, RegistryUnavailable: a service did not answer.
    """
    if found := snapshot_findings(read_snapshots(settings), settings):
        raise SnapshotIncomplete(found)


def complete_snapshots(settings: Settings, tell: Callable[[str], None]) -> str:
    """Wait for the initial snapshot, then request incremental snapshots of the tables that it has not read.

    Args:
        tell: called with a table before its snapshot is requested.

    Returns:
        A description of what was done.

    Raises:
        ConnectorFailed: the connector failed.
        SnapshotIncomplete: the initial snapshot began again, or did not begin.
        SnapshotFailed: the connector could not read a table.
    """
    if not snapshot_findings(read_snapshots(settings), settings):
        return UNCHANGED
    told = _ended(settings)
    if not told.has_ended:
        return f"under way: {_progress(told, settings)}"
    missing = told.lacks(settings.connector.tables)
    for table in missing:
        tell(table)
        read_models.incremental_snapshots(settings).run(SnapshotRequest(tables=(table,)), _Watch(settings))
    return f"taken of {', '.join(missing)}" if missing else "complete"


def _progress(told: SnapshotStatus, settings: Settings) -> str:
    failed = f", and could not read {told.failed_at}" if told.failed_at else ""
    return f"it has read {len(told.rows)} of {len(settings.connector.tables)} tables{failed}"


def _ended(settings: Settings) -> SnapshotStatus:
    """Wait until the initial snapshot has ended, or its first attempt has run for `WAIT_S`. Return its status."""
    require_at_work, deadline, begun_with = _Watch(settings), time.monotonic() + WAIT_S, None
    while True:
        told = read_snapshots(settings)
        if told is not None and told.has_ended:
            return told
        begun_with = begun_with or (told.attempts if told else None)
        is_again = told is not None and told.attempts > (begun_with or 0)
        is_late = time.monotonic() > deadline
        if (told is None and is_late) or is_again:
            raise SnapshotIncomplete(snapshot_findings(told, settings))
        if told is not None and is_late:
            return told
        require_at_work()
        time.sleep(LOOK_EVERY_S)


class _Watch:
    """Check that raises once the connector has failed, so that no caller waits for it for ever."""

    EVERY_S = 5.0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._looks_at = time.monotonic() + self.EVERY_S

    def __call__(self, _: SnapshotProgress | None = None) -> None:
        if time.monotonic() < self._looks_at:
            return
        self._looks_at = time.monotonic() + self.EVERY_S
        with closing(ConnectClient(self._settings.connect.url)) as client:
            status = client.status(self._settings.connector.name)
        if status.has_failed:
            raise ConnectorFailed(str(status))

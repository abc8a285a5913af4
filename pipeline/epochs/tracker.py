"""Tracker of a generation's epochs in its worker."""

from __future__ import annotations

import time
from contextlib import closing

import structlog

from connectors.topics import TopicIdentityRequest
from pipeline.config import Settings
from pipeline.epochs.fingerprint import Fingerprint, of_source, of_topics
from pipeline.epochs.offset_sink import read_epochs
from pipeline.ingest.epoch_history import EpochHistory
from pipeline.postgres.database import SourceUnavailable, connect
from pipeline.postgres.server_state import read_server_state
from sinks.epoch import Epoch, EpochKind
from sinks.errors import StoreUnavailable
from sinks.generation import utc_now
from sinks.sink import WorkerStore

log = structlog.get_logger()

REFRESH_INTERVAL_S = 10.0
"""Interval at which a worker checks whether another process has completed the epoch's snapshot."""


class EpochTracker:
    """Cached epochs of one generation.

    No epoch is opened while a worker runs (`pipeline.epochs.opening`), so only the details of the last one may change.
    """

    def __init__(self, store: WorkerStore, generation: int) -> None:
        self._store = store
        self._generation = generation
        self._epoch_history = read_epochs(store, generation)
        self._looks_at = time.monotonic() + REFRESH_INTERVAL_S

    def __call__(self) -> EpochHistory:
        """Return the epochs, at most some seconds old."""
        if self._epoch_history.completed_snapshot_epoch is None and time.monotonic() > self._looks_at:
            try:
                self._epoch_history = read_epochs(self._store, self._generation)
            except StoreUnavailable as error:
                log.debug("epoch refresh failed", reason=str(error))
            self._looks_at = time.monotonic() + REFRESH_INTERVAL_S
        return self._epoch_history

    def record(self, epoch: Epoch) -> None:
        """Record the details of an epoch.

        Raises:
            StoreUnavailable: the store cannot serve now.
        """
        self._store.record_epoch(self._generation, epoch)
        self._epoch_history = read_epochs(self._store, self._generation)


def track_epochs(store: WorkerStore, generation: int, settings: Settings) -> EpochTracker:
    """Return a tracker for a generation that a worker starts on. If no epoch is recorded, the current log becomes the
    first.

    Args:
        settings: settings of the generation.

    Raises:
        KafkaUnavailable, StoreUnavailable: a service does not answer.
    """
    known = EpochTracker(store, generation)
    epoch_history = known()
    if not epoch_history.epochs:
        known.record(
            Epoch(number=0, kind=EpochKind.FIRST, fingerprint=current_fingerprint(settings), opened_at=utc_now())
        )
    return known


def current_fingerprint(settings: Settings) -> Fingerprint:
    """Read the fingerprint of the current log, without the source's part if PostgreSQL does not answer.

    Raises:
        KafkaUnavailable: the brokers do not answer.
    """
    # Keep a reference: a garbage-collected AdminClient never completes its futures.
    admin = settings.kafka.admin()
    found = of_topics(TopicIdentityRequest(admin, settings.definitions.topics).result())
    try:
        with closing(connect(settings.source.url)) as connection:
            return found | of_source(read_server_state(connection, settings.connector.slot).system_identifier)
    except SourceUnavailable as error:
        log.warning("source check skipped", reason=str(error))
        return found

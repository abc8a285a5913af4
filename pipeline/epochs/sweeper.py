"""Sweeps a generation that is in use, once its epoch's snapshot has ended: nobody has to rebuild it for that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from functools import partial

import structlog

from pipeline.config import Settings
from pipeline.epochs.snapshot_end import SnapshotEnd, SnapshotEndUnknown, find_snapshot_end
from pipeline.epochs.tracker import EpochTracker
from pipeline.ingest.retry import Retrier, StopRequested
from sinks.batch import Batch, TopicPartition
from sinks.sink import Sink

log = structlog.get_logger()

POLL_INTERVAL_S = 2.0
READ_LOG_AFTER_S = 30.0
"""How long the connector may tell of no end before the log itself is asked; then for ten times as long as that took."""


class Sweeper:
    """The sweeps of one generation.

    One process looks for them, that which reads the first partition of the first topic; where two do for a moment, they
    join the same. They are joined once the generation holds all of the snapshot: before, rows would be gone for a while
    that only come late.

    Args:
        settings: those that the generation is fed under.
        scopes: those of the model, see `pipeline.log_scan.assessment.scopes_of`.
        sink: of the generation, for this purpose alone.
    """

    def __init__(self, settings: Settings, scopes: Collection[str], known: EpochTracker, sink: Sink) -> None:
        self._settings = settings
        self._scopes = list(scopes)
        self._known = known
        self._sink = sink
        self._topic_partition = (min(settings.definitions.topics), 0)
        self._doubts_at = time.monotonic() + READ_LOG_AFTER_S

    def follow(self, stop: threading.Event, held: Callable[[], Collection[TopicPartition]]) -> None:
        """Look for them until they are joined, or `stop` is set.

        Args:
            held: answers with the shards that this process reads.
        """
        patience = Retrier(stop)
        try:
            while not stop.wait(POLL_INTERVAL_S):
                begun = patience("read epochs", self._known).snapshot_epoch
                if begun is None or begun.is_settled:
                    return
                if self._topic_partition not in held():
                    continue
                found = patience("look for sweeps", self._find_end)
                if found is not None:
                    patience("sweep", partial(self._apply, found, stop))
        except SnapshotEndUnknown as unclear:
            log.warning("snapshot not swept", reason=str(unclear), remedy=unclear.remedy)
        except StopRequested as unfinished:
            log.debug("sweeps left off", action=str(unfinished))

    def _find_end(self) -> SnapshotEnd | None:
        began, is_doubtful = time.monotonic(), time.monotonic() > self._doubts_at
        found = find_snapshot_end(self._settings, self._known(), self._scopes, is_doubtful=is_doubtful)
        if is_doubtful:
            self._doubts_at = time.monotonic() + max(READ_LOG_AFTER_S, 10 * (time.monotonic() - began))
        return found

    def _apply(self, found: SnapshotEnd, stop: threading.Event) -> None:
        """Join what was found as soon as the generation holds the snapshot's end."""
        while found.range_tombstones and not self._holds(found):
            if stop.wait(POLL_INTERVAL_S / 4):
                return
        if found.range_tombstones:
            self._sink.write(Batch(range_tombstones=found.range_tombstones))
        begun = self._known().snapshot_epoch
        assert begun is not None
        self._known.record(begun.with_snapshot_complete(found.snapshot_lsn, found.range_tombstones))
        log.info("snapshot settled", lsn=found.snapshot_lsn, sweeps=len(found.range_tombstones))

    def _holds(self, found: SnapshotEnd) -> bool:
        progress = self._sink.progress()
        return all(
            progress.next_offset(topic_partition) >= offset for topic_partition, offset in found.end_offsets.items()
        )

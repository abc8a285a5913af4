"""Sweeper that removes stale rows of a generation in use after its epoch's snapshot, without a rebuild."""

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
"""Time without a report from the connector after which the log itself is scanned. The next scan waits for ten times the
duration of the last one, if that is longer.
"""


class Sweeper:
    """Sweeper of one generation.

    Only the process that reads the first partition of the first topic looks for sweeps. If two do so for a moment, they
    apply the same ones. Sweeps are applied once the generation has all of the snapshot; otherwise rows that arrive late
    would be missing for a while.

    Args:
        settings: settings of the generation.
        scopes: scopes of the model, see `pipeline.log_scan.assessment.scopes_of`.
        sink: a sink of the generation, for this purpose alone.
    """

    def __init__(self, settings: Settings, scopes: Collection[str], known: EpochTracker, sink: Sink) -> None:
        self._settings = settings
        self._scopes = list(scopes)
        self._known = known
        self._sink = sink
        self._topic_partition = (min(settings.definitions.topics), 0)
        self._doubts_at = time.monotonic() + READ_LOG_AFTER_S

    def follow(self, stop: threading.Event, held: Callable[[], Collection[TopicPartition]]) -> None:
        """Poll for sweeps until they are applied, or `stop` is set.

        Args:
            held: returns the topic partitions that this process reads.
        """
        patience = Retrier(stop)
        try:
            while not stop.wait(POLL_INTERVAL_S):
                begun = patience("read epochs", self._known).snapshot_epoch
                if begun is None or begun.is_settled:
                    return
                if self._topic_partition not in held():
                    continue
                found = patience("find the end of the snapshot", self._find_end)
                if found is not None:
                    patience("sweep", partial(self._apply, found, stop))
        except SnapshotEndUnknown as unclear:
            log.warning("cannot determine stale rows", reason=str(unclear), remedy=unclear.remedy)
        except StopRequested as unfinished:
            log.debug("sweep cancelled", action=str(unfinished))

    def _find_end(self) -> SnapshotEnd | None:
        began, is_doubtful = time.monotonic(), time.monotonic() > self._doubts_at
        found = find_snapshot_end(self._settings, self._known(), self._scopes, is_doubtful=is_doubtful)
        if is_doubtful:
            self._doubts_at = time.monotonic() + max(READ_LOG_AFTER_S, 10 * (time.monotonic() - began))
        return found

    def _apply(self, found: SnapshotEnd, stop: threading.Event) -> None:
        """Apply the sweeps once the generation has reached the snapshot's end."""
        while found.range_tombstones and not self._holds(found):
            if stop.wait(POLL_INTERVAL_S / 4):
                return
        if found.range_tombstones:
            self._sink.write(Batch(range_tombstones=found.range_tombstones))
        begun = self._known().snapshot_epoch
        assert begun is not None
        self._known.record(begun.with_snapshot_complete(found.snapshot_lsn, found.range_tombstones))
        log.info("snapshot complete", lsn=found.snapshot_lsn, sweeps=len(found.range_tombstones))

    def _holds(self, found: SnapshotEnd) -> bool:
        return not self._sink.progress().lag(found.end_offsets)

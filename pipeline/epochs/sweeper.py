"""Sweeps a generation that is in use, once its epoch's snapshot has ended: nobody has to rebuild it for that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from functools import partial

import structlog

from pipeline.config import Settings
from pipeline.epochs.snapshot_end import Settlement, SnapshotUnclear, settlement
from pipeline.epochs.tracker import Known
from pipeline.ingest.retry import GivenUp, Patience
from sinks.batch import Batch, Shard
from sinks.sink import Sink

log = structlog.get_logger()

ASKS_EVERY_S = 2.0
DOUBTS_AFTER_S = 30.0
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

    def __init__(self, settings: Settings, scopes: Collection[str], known: Known, sink: Sink) -> None:
        self._settings = settings
        self._scopes = list(scopes)
        self._known = known
        self._sink = sink
        self._shard = (min(settings.contract.topics), 0)
        self._doubts_at = time.monotonic() + DOUBTS_AFTER_S

    def follow(self, over: threading.Event, held: Callable[[], Collection[Shard]]) -> None:
        """Look for them until they are joined, or `over` is set.

        Args:
            held: answers with the shards that this process reads.
        """
        patience = Patience(over)
        try:
            while not over.wait(ASKS_EVERY_S):
                begun = patience("read epochs", self._known).begun
                if begun is None or begun.is_settled:
                    return
                if self._shard not in held():
                    continue
                found = patience("look for sweeps", self._find)
                if found is not None:
                    patience("sweep", partial(self._join, found, over))
        except SnapshotUnclear as unclear:
            log.warning("snapshot not swept", reason=str(unclear), remedy=unclear.remedy)
        except GivenUp as unfinished:
            log.debug("sweeps left off", action=str(unfinished))

    def _find(self) -> Settlement | None:
        began, is_doubtful = time.monotonic(), time.monotonic() > self._doubts_at
        found = settlement(self._settings, self._known(), self._scopes, is_doubtful=is_doubtful)
        if is_doubtful:
            self._doubts_at = time.monotonic() + max(DOUBTS_AFTER_S, 10 * (time.monotonic() - began))
        return found

    def _join(self, found: Settlement, over: threading.Event) -> None:
        """Join what was found as soon as the generation holds the snapshot's end."""
        while found.fences and not self._holds(found):
            if over.wait(ASKS_EVERY_S / 4):
                return
        if found.fences:
            self._sink.write(Batch(fences=found.fences))
        begun = self._known().begun
        assert begun is not None
        self._known.note(begun.settled(found.snapshot_lsn, found.fences))
        log.info("snapshot settled", lsn=found.snapshot_lsn, sweeps=len(found.fences))

    def _holds(self, found: Settlement) -> bool:
        progress = self._sink.progress()
        return all(progress.of(shard) >= offset for shard, offset in found.passed_at.items())

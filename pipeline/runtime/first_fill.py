"""The first fill of a model: readers see its generation from the beginning, and it is filled as by a rebuild.

Until it holds the connector's snapshot, the generation is incomplete: it has the settings of one that is built, and its
workers hold changes back for longer, so that a document is written a few times and not with every batch. Whatever
happens to the snapshot, that comes to an end: a generation that holds the log, and for which nothing comes any more, is
completed too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol

import structlog

from connectors.kafka import end_offsets
from connectors.topics import describe
from pipeline.config import Settings
from pipeline.ingest.accumulator import BatchAccumulator
from pipeline.ingest.retry import Retrier, StopRequested
from pipeline.postgres.watermark import Offsets
from pipeline.setup.snapshots import read_snapshots
from pipeline.worker_settings import AccumulatorSettings
from sinks.batch import TopicPartition
from sinks.errors import SinkError
from sinks.sink import Sink, WorkerStore

log = structlog.get_logger()

POLL_INTERVAL_S = 0.5
MAX_HOLD_S = 60.0
"""Longest time that a change is held back, so that readers see something of a long snapshot.

Every write during the snapshot takes time from it, and a document whose children come later is written again.
"""
RETRY_AFTER_S = 10.0
"""After an answer of the store that does not let the check be done."""
STALLED_AFTER_S = 60.0
"""How long nothing comes from a snapshot before it is taken for one that goes on later, or never."""


class SnapshotLog(Protocol):
    """The log that a snapshot is written to."""

    def is_snapshot_over(self) -> bool:
        """Whether the connector has told that its snapshot has ended."""

    def ends(self) -> Offsets:
        """Where the log ends now."""


class KafkaSnapshotLog:
    """The topics of a generation, and the one in which the connector tells of its snapshots.

    Args:
        settings: those that the generation is fed under.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Keep a reference: a garbage-collected AdminClient never completes its futures.
        self._admin = settings.kafka.admin()
        self._told_at: Offsets = {}
        self._is_over = False

    def is_snapshot_over(self) -> bool:
        topic = self._settings.connector.settings.get("notification.sink.topic.name", "")
        if self._is_over or not describe(self._admin, [topic]):
            return self._is_over
        told_at = end_offsets(self._admin, [topic])
        if told_at != self._told_at:
            told = read_snapshots(self._settings)
            self._is_over = told is not None and told.has_ended
            self._told_at = told_at
        return self._is_over

    def ends(self) -> Offsets:
        return end_offsets(self._admin, self._settings.definitions.topics)


def first_fill_settings(rebuild: AccumulatorSettings, *, is_snapshot_over: bool) -> AccumulatorSettings:
    """How the workers of a generation gather while it is filled for the first time.

    Args:
        rebuild: how those of a rebuild do.
    """
    few = rebuild.few_records if is_snapshot_over else 0
    held_s = min(MAX_HOLD_S, rebuild.max_wait_s or MAX_HOLD_S)
    return replace(rebuild, max_wait_s=held_s, max_wait_far_behind_s=held_s, few_records=few)


class FirstFill:
    """Watches the fill of one generation, and completes it.

    The process that reads the first partition of the first topic completes it; the others notice.

    Args:
        settings: those that the generation is fed under.
        sink: of the generation, for this purpose alone.
        accumulator: what the worker of this process gathers.
    """

    def __init__(
        self,
        settings: Settings,
        store: WorkerStore,
        generation: int,
        sink: Sink,
        accumulator: BatchAccumulator,
        snapshot_log: SnapshotLog,
    ) -> None:
        self._settings = settings
        self._store = store
        self._generation = generation
        self._sink = sink
        self._accumulator = accumulator
        self._log = snapshot_log
        self._topic_partition = (min(settings.definitions.topics), 0)
        self._snapshot_ends: Offsets | None = None
        """Where the log ended when the snapshot was found to be over; None while it goes on."""
        self._seen_ends: Offsets = {}
        self._moved_at = time.monotonic()

    def follow(self, stop: threading.Event, held: Callable[[], Collection[TopicPartition]]) -> None:
        """Look until the generation is complete, or `stop` is set.

        Args:
            held: answers with the shards that this process reads.
        """
        patience = Retrier(stop)
        pause_s = 0.0
        while not stop.wait(pause_s):
            try:
                if patience("look at the first fill", lambda: self._is_complete(held)):
                    return
                pause_s = POLL_INTERVAL_S
            except StopRequested:
                return
            except SinkError as error:
                # The worker stops at what makes it impossible to go on; anything else must not leave this undone.
                log.warning("first fill not checked", reason=str(error), remedy=error.remedy)
                pause_s = RETRY_AFTER_S

    def _is_complete(self, held: Callable[[], Collection[TopicPartition]]) -> bool:
        """Look once, and complete the generation where that is due."""
        record = self._store.generations().get(self._generation)
        is_complete = record is None or record.is_complete
        if not is_complete and self._is_filled() and self._topic_partition in held():
            self._store.mark_complete(self._generation)
            log.info("filled", is_snapshot_over=self._snapshot_ends is not None)
            is_complete = True
        if is_complete:
            self._accumulator.configure(self._settings.catch_up)
        return is_complete

    def _is_filled(self) -> bool:
        """Whether the generation holds the snapshot, or everything of one from which nothing comes any more."""
        if self._snapshot_ends is None and self._log.is_snapshot_over():
            self._snapshot_ends = self._log.ends()
            self._accumulator.configure(first_fill_settings(self._settings.rebuild, is_snapshot_over=True))
        if self._snapshot_ends is not None:
            return not self._sink.progress().lag(self._snapshot_ends)
        ends = self._log.ends()
        if ends != self._seen_ends:
            self._seen_ends, self._moved_at = ends, time.monotonic()
        is_stalled = any(ends.values()) and time.monotonic() - self._moved_at > STALLED_AFTER_S
        return is_stalled and not self._sink.progress().lag(ends)

"""First fill of a model: readers see its generation from the start, and it is filled like a rebuild.

Until the generation has the connector's snapshot, it is incomplete. It has the settings of a rebuild, and its workers
accumulate changes for longer, so that a document is written a few times and not with every batch. This state ends even
if the snapshot fails: a generation is also completed once it has the whole log and no new records arrive.
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
from pipeline.setup.snapshots import read_snapshots
from pipeline.worker_settings import AccumulatorSettings
from sinks.batch import Offsets, TopicPartition
from sinks.errors import SinkError
from sinks.sink import Sink, WorkerStore

log = structlog.get_logger()

POLL_INTERVAL_S = 0.5
MAX_HOLD_S = 60.0
"""Maximum time that a change is accumulated, so that readers see rows of a long snapshot early.

Every write during the snapshot slows it down, and a document is written again if its children arrive later.
"""
RETRY_AFTER_S = 10.0
"""Delay after a store error that prevents the check."""
STALLED_AFTER_S = 60.0
"""Time without new records after which a snapshot counts as stalled."""


class SnapshotLog(Protocol):
    """Log that a snapshot is written to."""

    def is_snapshot_over(self) -> bool:
        """Return whether the connector has reported the end of its snapshot."""

    def ends(self) -> Offsets:
        """Return the current ends of the log."""


class KafkaSnapshotLog:
    """Topics of a generation, and the topic of the connector's notifications.

    Args:
        settings: settings of the generation.
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
    """Return how workers accumulate while a generation is filled for the first time.

    Args:
        rebuild: the accumulator settings of a rebuild.
    """
    few = rebuild.few_records if is_snapshot_over else 0
    held_s = min(MAX_HOLD_S, rebuild.max_wait_s or MAX_HOLD_S)
    return replace(rebuild, max_wait_s=held_s, max_wait_far_behind_s=held_s, few_records=few)


class FirstFill:
    """Monitor of one generation's fill, which marks it complete.

    The process that reads the first partition of the first topic does so; the others detect it.

    Args:
        settings: settings of the generation.
        sink: a sink of the generation, for this purpose alone.
        accumulator: the accumulator of this process's worker.
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
        """Log ends when the snapshot was found to be complete; None while it runs."""
        self._seen_ends: Offsets = {}
        self._moved_at = time.monotonic()

    def follow(self, stop: threading.Event, held: Callable[[], Collection[TopicPartition]]) -> None:
        """Check at intervals until the generation is complete, or `stop` is set.

        Args:
            held: returns the topic partitions that this process reads.
        """
        patience = Retrier(stop)
        pause_s = 0.0
        while not stop.wait(pause_s):
            try:
                if patience("check the first fill", lambda: self._is_complete(held)):
                    return
                pause_s = POLL_INTERVAL_S
            except StopRequested:
                return
            except SinkError as error:
                # The worker stops at fatal errors itself. Any other error must not leave the generation incomplete.
                log.warning("first fill check failed", reason=str(error), remedy=error.remedy)
                pause_s = RETRY_AFTER_S

    def _is_complete(self, held: Callable[[], Collection[TopicPartition]]) -> bool:
        """Check once, and mark the generation complete if it is filled."""
        record = self._store.generations().get(self._generation)
        is_complete = record is None or record.is_complete
        if not is_complete and self._is_filled() and self._topic_partition in held():
            self._store.mark_complete(self._generation)
            log.info("first fill complete", is_snapshot_complete=self._snapshot_ends is not None)
            is_complete = True
        if is_complete:
            self._accumulator.configure(self._settings.catch_up)
        return is_complete

    def _is_filled(self) -> bool:
        """Return whether the generation has the complete snapshot, or all records of a stalled one."""
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

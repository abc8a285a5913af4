"""Watchdog that ends a process whose store call does not return, so that a new process replaces it.

A store's client times out by itself, but not if a response arrives a byte at a time, or if a disk hangs below DuckDB.
Meanwhile the source's thread keeps polling: the group considers the worker alive, and assigns its partitions to no
other. The next worker repeats the unfinished batch, which is harmless.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass

import structlog

from pipeline.worker_settings import BatchSettings
from sinks.batch import Batch, Progress
from sinks.epoch import Epoch
from sinks.generation import GenerationMetadata
from sinks.sink import Sink, WorkerStore

log = structlog.get_logger()

CHANGES_PER_BUDGET = BatchSettings.max_records
"""Changes that one budget covers: about what a worker writes at once. A rebuild's accumulated batch takes several
budgets.
"""


@dataclass(frozen=True)
class Watchdog:
    """Watchdog of one store's calls.

    Args:
        budget_s: maximum duration of a call.
        end: ends this process; called when a call takes longer.
    """

    budget_s: float
    end: Callable[[], None]

    @contextmanager
    def time_limit(self, action: str, size: float = 1.0) -> Iterator[None]:
        """End the process if the block takes longer than the budget.

        Args:
            size: number of budgets that the block may take.
        """
        budget_s = size * self.budget_s
        timer = threading.Timer(budget_s, copy_context().run, [self._give_up, action, budget_s])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _give_up(self, action: str, budget_s: float) -> None:
        log.error(
            "store call timed out",
            action=action,
            budget_s=budget_s,
            remedy="The worker restarts automatically. If the error recurs, restart the store, or raise the model's "
            "budget in [watchdog] of readmodels.toml.",
        )
        # Print the stack of each thread, without values.
        faulthandler.dump_traceback(sys.stderr)
        sys.stderr.flush()
        self.end()


class WatchedSink:
    """Sink whose calls have a time limit."""

    def __init__(self, sink: Sink, watchdog: Watchdog) -> None:
        self._sink = sink
        self._watchdog = watchdog

    def prepare(self) -> None:
        with self._watchdog.time_limit("prepare the store"):
            self._sink.prepare()

    def progress(self) -> Progress:
        with self._watchdog.time_limit("read progress"):
            return self._sink.progress()

    def write(self, batch: Batch) -> None:
        changes = sum(one.changes.num_rows for one in batch.mutations)
        with self._watchdog.time_limit("write", max(1.0, changes / CHANGES_PER_BUDGET)):
            self._sink.write(batch)

    def cutover(self) -> None:
        with self._watchdog.time_limit("cut over"):
            self._sink.cutover()


class WatchedStore:
    """Store whose generation calls have a time limit."""

    def __init__(self, store: WorkerStore, watchdog: Watchdog) -> None:
        self._store = store
        self._watchdog = watchdog

    def generations(self) -> Mapping[int, GenerationMetadata]:
        """Return the existing generations and their metadata."""
        with self._watchdog.time_limit("read the generations"):
            return self._store.generations()

    def live(self) -> int | None:
        """Return the generation that readers see."""
        with self._watchdog.time_limit("read the generations"):
            return self._store.live()

    def sink(self, generation: int) -> Sink:
        """Return the sink of one generation, with time limits."""
        with self._watchdog.time_limit("read the generations"):
            return WatchedSink(self._store.sink(generation), self._watchdog)

    def mark_complete(self, generation: int, filled_per_s: float = 0.0) -> None:
        """Record that a generation is complete."""
        with self._watchdog.time_limit("mark a generation complete"):
            self._store.mark_complete(generation, filled_per_s)

    def record_epoch(self, generation: int, epoch: Epoch) -> None:
        """Record an epoch."""
        with self._watchdog.time_limit("record an epoch"):
            self._store.record_epoch(generation, epoch)

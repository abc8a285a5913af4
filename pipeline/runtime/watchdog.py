"""Ends a process whose store does not come back to it, so that a new one takes its place.

A store's client gives up after a while by itself, but not where an answer comes a byte at a time, nor where a disk
hangs below DuckDB. Meanwhile the source's own thread goes on polling: the group takes such a worker for well, and
gives its partitions to nobody else. What it had half done is done again by whoever comes next, and is harmless.
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
"""What a budget is for: about what a worker writes at once. What a builder has gathered takes several times as long."""


@dataclass(frozen=True)
class Watchdog:
    """Watches calls of one store.

    Args:
        budget_s: how long one of them may take.
        end: ends this process; what is called when one takes longer.
    """

    budget_s: float
    end: Callable[[], None]

    @contextmanager
    def time_limit(self, action: str, size: float = 1.0) -> Iterator[None]:
        """Let the block take no longer than the budget.

        Args:
            size: how many budgets it is worth.
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
            "store hangs",
            action=action,
            budget_s=budget_s,
            remedy="The worker restarts by itself. If the error recurs, restart the store, or raise the model's "
            "budget in [watchdog] of readmodels.toml.",
        )
        # Where each thread stands; no values.
        faulthandler.dump_traceback(sys.stderr)
        sys.stderr.flush()
        self.end()


class WatchedSink:
    """A sink whose calls are watched."""

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
    """What a store says of its generations, watched."""

    def __init__(self, store: WorkerStore, watchdog: Watchdog) -> None:
        self._store = store
        self._watchdog = watchdog

    def generations(self) -> Mapping[int, GenerationMetadata]:
        """The generations that exist, and what is kept of each."""
        with self._watchdog.time_limit("look at the generations"):
            return self._store.generations()

    def live(self) -> int | None:
        """The generation that readers see."""
        with self._watchdog.time_limit("look at the generations"):
            return self._store.live()

    def sink(self, generation: int) -> Sink:
        """The sink of one generation, watched."""
        with self._watchdog.time_limit("look at the generations"):
            return WatchedSink(self._store.sink(generation), self._watchdog)

    def mark_complete(self, generation: int, filled_per_s: float = 0.0) -> None:
        """Note that a generation is complete."""
        with self._watchdog.time_limit("complete a generation"):
            self._store.mark_complete(generation, filled_per_s)

    def record_epoch(self, generation: int, epoch: Epoch) -> None:
        """Note a life of the log."""
        with self._watchdog.time_limit("note an epoch"):
            self._store.record_epoch(generation, epoch)

"""Worker of one generation, together with its background tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from pipeline.epochs.guard import EpochGuard
from pipeline.ingest.consumer import OffsetOutOfRange
from pipeline.ingest.worker import Worker
from pipeline.runtime.activity import Activity
from sinks.batch import TopicPartition
from sinks.sink import Sink

log = structlog.get_logger()

IsDone = Callable[[Sink], bool]


class BackgroundTask(Protocol):
    """Task for a generation that runs while its worker runs."""

    def follow(self, stop: threading.Event, held: Callable[[], Collection[TopicPartition]]) -> None:
        """Run the task until it is done, or `stop` is set.

        Args:
            held: returns the topic partitions that this process reads.
        """


@dataclass(eq=False)
class GenerationWorker:
    """Worker of one generation, with background tasks on threads of their own.

    Args:
        generation: its number.
        worker: the loop that applies the log to the generation.
        gate: the guard that checks its records.
        beside: background tasks such as the sweeper. A generation that is being rebuilt has no sweeper, because it
            received its sweeps when it was created.
        activity: records what the worker does.
        is_done: check whether the worker may end.
        stop: ends the worker on its thread.
        failure: the error that ended the worker on its thread.
        is_reported: whether the failure was logged.
    """

    generation: int
    worker: Worker
    gate: EpochGuard
    beside: Sequence[BackgroundTask]
    activity: Activity
    is_done: IsDone = lambda _: False
    stop: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None
    is_reported: bool = False
    thread: threading.Thread | None = None

    def start(self) -> None:
        """Run on a thread, until `stop` is set or `is_done` returns true."""
        context = copy_context()
        context.run(structlog.contextvars.bind_contextvars, generation=self.generation)
        name = f"generation {self.generation}"
        self.thread = threading.Thread(target=context.run, args=(self._run_on_thread,), name=name, daemon=True)
        self.thread.start()

    @property
    def is_over(self) -> bool:
        """True if the thread has ended, for any reason."""
        return self.thread is not None and not self.thread.is_alive()

    def end(self) -> None:
        """Finish the current batch, and release the partitions."""
        self.stop.set()
        if self.thread is not None:
            self.thread.join()

    def run(self, stop: threading.Event) -> None:
        """Run in the caller's thread until `stop` is set or `is_done` returns true.

        Raises:
            Exception: the error that stopped the worker.
        """
        with self.activity.of_work(), self._background_tasks():
            try:
                self.worker.run(stop, self.is_done, self.activity)
            except OffsetOutOfRange:
                # A recreated topic lacks offsets too, and its error is more precise.
                self.gate.check_topics()
                raise

    def _run_on_thread(self) -> None:
        log.info("worker started")
        try:
            self.run(self.stop)
        except Exception as error:  # noqa: BLE001 - the pool decides what follows
            self.failure = error
        else:
            log.info("worker stopped")

    @contextmanager
    def _background_tasks(self) -> Iterator[None]:
        over = threading.Event()
        threads = [
            threading.Thread(
                target=copy_context().run,
                args=(one.follow, over, self.worker.assigned),
                name=type(one).__name__,
                daemon=True,
            )
            for one in self.beside
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

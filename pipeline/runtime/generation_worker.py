"""Worker of one generation, together with its background tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from contextvars import copy_context
from typing import Protocol

from pipeline.epochs.guard import EpochGuard
from pipeline.ingest.consumer import OffsetOutOfRange
from pipeline.ingest.worker import Worker
from pipeline.runtime.activity import Activity
from sinks.batch import TopicPartition
from sinks.sink import Sink


class BackgroundTask(Protocol):
    """Task for a generation that runs while its worker runs."""

    def follow(self, stop: threading.Event, held: Callable[[], Collection[TopicPartition]]) -> None:
        """Run the task until it is done, or `stop` is set.

        Args:
            held: returns the topic partitions that this process reads.
        """


class GenerationWorker:
    """Worker with background tasks on threads of their own.

    Args:
        gate: the guard that checks its records.
        beside: background tasks such as the sweeper. A generation that is being rebuilt has no sweeper, because it
            received
            its sweeps when it was created.
        activity: records what the worker does.
    """

    def __init__(self, worker: Worker, gate: EpochGuard, beside: Sequence[BackgroundTask], activity: Activity) -> None:
        self._worker = worker
        self._gate = gate
        self._beside = beside
        self._activity = activity

    def run(self, stop: threading.Event, is_done: Callable[[Sink], bool] = lambda _: False) -> None:
        """Run until `stop` is set or `is_done` returns true.

        Raises:
            Exception: the error that stopped the worker.
        """
        with self._activity.of_work():
            self._run(stop, is_done)

    def _run(self, stop: threading.Event, is_done: Callable[[Sink], bool]) -> None:
        over = threading.Event()
        threads = [
            threading.Thread(
                target=copy_context().run,
                args=(one.follow, over, self._worker.assigned),
                name=type(one).__name__,
                daemon=True,
            )
            for one in self._beside
        ]
        for thread in threads:
            thread.start()
        try:
            self._worker.run(stop, is_done, self._activity)
        except OffsetOutOfRange:
            # A recreated topic lacks offsets too, and its error is more precise.
            self._gate.check_topics()
            raise
        finally:
            over.set()
            for thread in threads:
                thread.join()

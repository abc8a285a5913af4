"""A worker, and what is seen to beside it for as long as it works."""

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
    """Sees to something of a generation while its worker works."""

    def follow(self, stop: threading.Event, held: Callable[[], Collection[TopicPartition]]) -> None:
        """Do it until it is done, or `stop` is set.

        Args:
            held: answers with the shards that this process reads.
        """


class GenerationWorker:
    """A worker, and what is seen to on threads of their own meanwhile.

    Args:
        gate: the one that its records pass.
        beside: such as the sweeps; none of those for a generation that is being rebuilt, which was given them at its
            birth.
        activity: is told what the worker does.
    """

    def __init__(self, worker: Worker, gate: EpochGuard, beside: Sequence[BackgroundTask], activity: Activity) -> None:
        self._worker = worker
        self._gate = gate
        self._beside = beside
        self._activity = activity

    def run(self, stop: threading.Event, is_done: Callable[[Sink], bool] = lambda _: False) -> None:
        """Work until `stop` is set or `is_done` says so.

        Raises:
            Exception: what the worker stops at.
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
            # A topic that was made anew lacks offsets too, and that is the better answer.
            self._gate.check_topics()
            raise
        finally:
            over.set()
            for thread in threads:
                thread.join()

"""A worker, and what is seen to beside it for as long as it works."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context

from pipeline.activity import Activity
from pipeline.consumer import LogTruncated
from pipeline.epoch.gate import Gate
from pipeline.epoch.sweeper import Sweeper
from pipeline.worker import Worker
from sinks.sink import Sink


class Attended:
    """A worker whose generation is swept meanwhile, where that is due.

    Args:
        gate: the one that its records pass.
        sweeper: None for a generation that is being built: it was given its sweeps at its birth.
        activity: is told what the worker does.
    """

    def __init__(self, worker: Worker, gate: Gate, sweeper: Sweeper | None, activity: Activity) -> None:
        self._worker = worker
        self._gate = gate
        self._sweeper = sweeper
        self._activity = activity

    def run(self, until: threading.Event, is_done: Callable[[Sink], bool] = lambda _: False) -> None:
        """Work until `until` is set or `is_done` says so.

        Raises:
            Exception: what the worker stops at.
        """
        with self._activity.of_work():
            self._run(until, is_done)

    def _run(self, until: threading.Event, is_done: Callable[[Sink], bool]) -> None:
        over = threading.Event()
        beside = threading.Thread(target=copy_context().run, args=(self._sweep, over), name="sweeps", daemon=True)
        beside.start()
        try:
            self._worker.run(until, is_done, self._activity)
        except LogTruncated:
            # A topic that was made anew lacks offsets too, and that is the better answer.
            self._gate.require_same()
            raise
        finally:
            over.set()
            beside.join()

    def _sweep(self, over: threading.Event) -> None:
        if self._sweeper is not None:
            self._sweeper.follow(over, self._worker.held)

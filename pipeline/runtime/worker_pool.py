"""Workers of one model in one process: one for each generation that the store keeps current."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from connectors.errors import DependencyUnavailable
from pipeline.crash_report import describe_error
from pipeline.ingest.retry import RecoveryAction, action_for
from pipeline.runtime.generation_worker import GenerationWorker
from sinks.errors import GenerationMissing, StoreUnavailable
from sinks.sink import WorkerStore

log = structlog.get_logger()

RECONCILE_INTERVAL_S = 1.0
"""Interval at which cutovers and new or dropped generations are detected."""
POLL_INTERVAL_S = 0.1
"""Interval at which ended workers are detected."""

LOOKS = 2
"""Number of checks in which the live generation must be missing: a cutover may happen between the two reads of one
check.
"""


class LiveGenerationGone(GenerationMissing):
    """The generation that readers saw was removed while its worker ran, or the readers' names no longer refer to it."""

    remedy = (
        "Run `readmodels init`: it makes a generation live again, or creates one if none exists. Then start the worker "
        "again: it fills the generation from the log."
    )


class WorkerPool:
    """Pool that starts and ends workers as generations are created, dropped and cut over to.

    Args:
        store: lists the generations; another process may change them.
        hire: creates the worker of one generation. The pool ends with the last worker.
        require_well: raises an error that has to stop all workers.
    """

    def __init__(
        self,
        store: WorkerStore,
        hire: Callable[[int], GenerationWorker],
        require_well: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._hire = hire
        self._require_well = require_well
        self._workers: dict[int, GenerationWorker] = {}
        self._live: int | None = None
        self._looks_without_live = 0

    def run(self, stop: threading.Event) -> None:
        """Keep the live generation and every complete one current until `stop` is set, or all are done.

        Raises:
            Exception: the error of the live generation's worker, or one that has to end the process or all workers.
        """
        follows_at = time.monotonic()
        try:
            while not stop.is_set():
                if time.monotonic() >= follows_at:
                    self._require_well()
                    self._reconcile()
                    follows_at = time.monotonic() + RECONCILE_INTERVAL_S
                self._handle_failures()
                if self._workers and all(worker.is_over for worker in self._workers.values()):
                    return
                stop.wait(POLL_INTERVAL_S)
        finally:
            self._end(list(self._workers))

    def _reconcile(self) -> None:
        try:
            generations, live = self._store.generations(), self._store.live()
        except StoreUnavailable as error:
            log.debug("generation refresh failed", reason=str(error))
            return
        if live is None or live not in generations:
            self._looks_without_live += 1
            if self._looks_without_live < LOOKS:
                return
            raise LiveGenerationGone("no generation is live" if live is None else f"generation {live} is gone")
        self._looks_without_live, self._live = 0, live
        followed = {self._live, *(number for number, record in generations.items() if record.is_followed)}
        self._end([number for number in self._workers if number not in followed])
        if self._live in self._workers and self._workers[self._live].is_reported:
            # It failed before it went live. Retry: a failure of the live generation must end the process.
            self._end([self._live])
        for new in sorted(followed - self._workers.keys()):
            try:
                self._workers[new] = self._hire(new)
            except (StoreUnavailable, GenerationMissing, DependencyUnavailable) as error:
                # The next check retries, if the generation still exists.
                log.debug("worker not started", generation=new, reason=str(error))
                continue
            self._workers[new].start()

    def _end(self, generations: Sequence[int]) -> None:
        workers = [self._workers.pop(number) for number in generations]
        for worker in workers:
            worker.stop.set()
        for worker in workers:
            worker.end()

    def _handle_failures(self) -> None:
        """Raise the failure of the live generation, which ends the process. Failures of others affect no reader and are
        logged.
        """
        for worker in list(self._workers.values()):
            if worker.failure is None or worker.is_reported:
                continue
            if isinstance(worker.failure, GenerationMissing) and self._is_dropped(worker.generation):
                self._end([worker.generation])
                continue
            if worker.generation == self._live or action_for(worker.failure) is not RecoveryAction.STOP:
                raise worker.failure
            log.error(
                "generation update stopped",
                generation=worker.generation,
                reason=describe_error(worker.failure),
                remedy=getattr(worker.failure, "remedy", None),
            )
            worker.is_reported = True

    def _is_dropped(self, generation: int) -> bool:
        """Return whether readers see another generation, so that this one may have been pruned."""
        try:
            live = self._store.live()
        except StoreUnavailable:
            return False
        return live not in {None, generation}

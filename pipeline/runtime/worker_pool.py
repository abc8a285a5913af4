"""Workers of one model in one process: one for each generation that the store keeps current."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from connectors.errors import DependencyUnavailable
from pipeline.crash_report import describe_error
from pipeline.ingest.retry import RecoveryAction, action_for
from sinks.errors import GenerationMissing, StoreUnavailable
from sinks.sink import Sink, WorkerStore

log = structlog.get_logger()

RECONCILE_INTERVAL_S = 1.0
"""Interval at which cutovers and new or dropped generations are detected."""
POLL_INTERVAL_S = 0.1
"""Interval at which ended workers are detected."""

LOOKS = 2
"""Number of checks in which the live generation must be missing: a cutover may happen between the two reads of one
check.
"""

IsDone = Callable[[Sink], bool]


class LiveGenerationGone(GenerationMissing):
    """The generation that readers saw was removed while its worker ran, or the readers' names no longer refer to it."""

    remedy = (
        "Run `readmodels init`: it makes a generation live again, or creates one if none exists. Then start the worker "
        "again: it fills the generation from the log."
    )


class Runnable(Protocol):
    """Worker of one generation."""

    def run(self, stop: threading.Event, is_done: IsDone) -> None:
        """Run the worker; see `pipeline.ingest.worker.Worker`."""


@dataclass
class WorkerThread:
    """Worker on a thread of its own."""

    generation: int
    worker: Runnable
    is_done: IsDone
    stop: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None
    is_reported: bool = False
    thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        context = copy_context()
        context.run(structlog.contextvars.bind_contextvars, generation=self.generation)
        name = f"generation {self.generation}"
        self.thread = threading.Thread(target=context.run, args=(self._work,), name=name, daemon=True)
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

    def _work(self) -> None:
        log.info("worker started")
        try:
            self.worker.run(self.stop, self.is_done)
        except Exception as error:  # noqa: BLE001 - the pool decides what follows
            self.failure = error
        else:
            log.info("worker stopped")


class WorkerPool:
    """Pool that starts and ends workers as generations are created, dropped and cut over to.

    Args:
        store: lists the generations; another process may change them.
        hire: creates the worker of one generation.
        done: returns, for a generation, the check whether its worker may end; the pool ends with the last worker.
        require_well: raises an error that has to stop all workers.
    """

    def __init__(
        self,
        store: WorkerStore,
        hire: Callable[[int], Runnable],
        done: Callable[[int], IsDone],
        require_well: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._hire = hire
        self._done = done
        self._require_well = require_well
        self._hands: dict[int, WorkerThread] = {}
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
                if self._hands and all(hand.is_over for hand in self._hands.values()):
                    return
                stop.wait(POLL_INTERVAL_S)
        finally:
            self._end(list(self._hands))

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
        self._end([number for number in self._hands if number not in followed])
        if self._live in self._hands and self._hands[self._live].is_reported:
            # It failed before it went live. Retry: a failure of the live generation must end the process.
            self._end([self._live])
        for new in sorted(followed - self._hands.keys()):
            try:
                self._hands[new] = WorkerThread(new, self._hire(new), self._done(new))
            except (StoreUnavailable, GenerationMissing, DependencyUnavailable) as error:
                # The next check retries, if the generation still exists.
                log.debug("worker not started", generation=new, reason=str(error))
                continue
            self._hands[new].start()

    def _end(self, generations: Sequence[int]) -> None:
        hands = [self._hands.pop(number) for number in generations]
        for hand in hands:
            hand.stop.set()
        for hand in hands:
            hand.end()

    def _handle_failures(self) -> None:
        """Raise the failure of the live generation, which ends the process. Failures of others affect no reader and are
        logged.
        """
        for hand in list(self._hands.values()):
            if hand.failure is None or hand.is_reported:
                continue
            if isinstance(hand.failure, GenerationMissing) and self._is_dropped(hand.generation):
                self._end([hand.generation])
                continue
            if hand.generation == self._live or action_for(hand.failure) is not RecoveryAction.STOP:
                raise hand.failure
            log.error(
                "generation update stopped",
                generation=hand.generation,
                reason=describe_error(hand.failure),
                remedy=getattr(hand.failure, "remedy", None),
            )
            hand.is_reported = True

    def _is_dropped(self, generation: int) -> bool:
        """Return whether readers see another generation, so that this one may have been pruned."""
        try:
            live = self._store.live()
        except StoreUnavailable:
            return False
        return live not in {None, generation}

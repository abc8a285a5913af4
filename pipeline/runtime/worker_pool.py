"""The workers of one model in one process: one for each generation that is kept current, as the store says which."""

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
"""How soon a cutover, a new generation or one that was dropped is noticed."""
POLL_INTERVAL_S = 0.1
"""How soon a worker that has ended is noticed."""

LOOKS = 2
"""How often readers' generation has to be missed: between the two questions of one look, another may be cut over to."""

IsDone = Callable[[Sink], bool]


class LiveGenerationGone(GenerationMissing):
    """The generation that readers saw was removed while its worker ran, or readers' names no longer lead to it."""

    remedy = (
        "Run `readmodels init`: it makes a generation live again, a new one if none is left. Then start the worker "
        "again: it fills the generation from the log."
    )


class Runnable(Protocol):
    """Carries a log into one generation."""

    def run(self, until: threading.Event, is_done: IsDone) -> None:
        """See `pipeline.ingest.worker.Worker`."""


@dataclass
class WorkerThread:
    """One worker on a thread of its own."""

    generation: int
    worker: Runnable
    is_done: IsDone
    until: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None
    is_reported: bool = False
    thread: threading.Thread | None = None

    def start(self) -> None:
        """Start working."""
        context = copy_context()
        context.run(structlog.contextvars.bind_contextvars, generation=self.generation)
        name = f"generation {self.generation}"
        self.thread = threading.Thread(target=context.run, args=(self._work,), name=name, daemon=True)
        self.thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, for whatever reason."""
        return self.thread is not None and not self.thread.is_alive()

    def end(self) -> None:
        """Finish the batch in hand, and give the partitions to others."""
        self.until.set()
        if self.thread is not None:
            self.thread.join()

    def _work(self) -> None:
        log.info("working")
        try:
            self.worker.run(self.until, self.is_done)
        except Exception as error:  # noqa: BLE001 - the crew decides what follows
            self.failure = error
        else:
            log.info("ended")


class WorkerPool:
    """Starts and ends workers as generations come and go, and readers change from one to another.

    Args:
        store: is asked which generations there are; another process may change them.
        hire: makes the worker of one generation.
        done: by generation, says of its sink whether its worker may end; the crew ends with the last of them.
        require_well: raises what all of them have to stop for.
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

    def run(self, until: threading.Event) -> None:
        """Keep the live generation and every complete one current until `until` is set, or all are done.

        Raises:
            Exception: what the worker of the live generation stopped at, or one that this process cannot survive, or
                that nobody may go on after.
        """
        follows_at = time.monotonic()
        try:
            while not until.is_set():
                if time.monotonic() >= follows_at:
                    self._require_well()
                    self._reconcile()
                    follows_at = time.monotonic() + RECONCILE_INTERVAL_S
                self._handle_failures()
                if self._hands and all(hand.is_over for hand in self._hands.values()):
                    return
                until.wait(POLL_INTERVAL_S)
        finally:
            self._end(list(self._hands))

    def _reconcile(self) -> None:
        try:
            generations, live = self._store.generations(), self._store.live()
        except StoreUnavailable as error:
            log.debug("generations not looked at", reason=str(error))
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
            # It stopped while nobody saw it: now that readers do, it is tried again, and what it stops at is heard.
            self._end([self._live])
        for new in sorted(followed - self._hands.keys()):
            try:
                self._hands[new] = WorkerThread(new, self._hire(new), self._done(new))
            except (StoreUnavailable, GenerationMissing, DependencyUnavailable) as error:
                # Asked again at the next look, if it is still there then.
                log.debug("worker not hired", generation=new, reason=str(error))
                continue
            self._hands[new].start()

    def _end(self, generations: Sequence[int]) -> None:
        hands = [self._hands.pop(number) for number in generations]
        for hand in hands:
            hand.until.set()
        for hand in hands:
            hand.end()

    def _handle_failures(self) -> None:
        """Let the process end with the live generation; what befalls another disturbs no reader."""
        for hand in list(self._hands.values()):
            if hand.failure is None or hand.is_reported:
                continue
            if isinstance(hand.failure, GenerationMissing) and self._is_dropped(hand.generation):
                self._end([hand.generation])
                continue
            if hand.generation == self._live or action_for(hand.failure) is not RecoveryAction.STOP:
                raise hand.failure
            log.error(
                "generation stopped",
                generation=hand.generation,
                reason=describe_error(hand.failure),
                remedy=getattr(hand.failure, "remedy", None),
            )
            hand.is_reported = True

    def _is_dropped(self, generation: int) -> bool:
        """Whether readers see another generation, so that this one may have been pruned."""
        try:
            live = self._store.live()
        except StoreUnavailable:
            return False
        return live not in {None, generation}

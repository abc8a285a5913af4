"""Virtual-time versions of the standard library names that the production modules import.

The production modules keep using `time.sleep` and `threading.Condition`; during a simulation, these names refer to this
module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace, TracebackType
from typing import Any
from unittest.mock import patch

from greenlet import getcurrent, greenlet

from tests.simulation.scheduler import Scheduler, Task

CLOCKS = (
    "pipeline.ingest.accumulator",
    "pipeline.ingest.worker",
    "pipeline.ingest.source",
    "pipeline.ingest.partition_buffer",
    "sinks.elasticsearch.bulk",
    "sinks.elasticsearch.versioned_index",
    "sinks.redis.generation",
)
THREADS = ("pipeline.ingest.source", "pipeline.ingest.buffer", "sinks.duckdb.store")
EXECUTORS = ("sinks.elasticsearch.bulk",)


@contextmanager
def on_virtual_time(scheduler: Scheduler) -> Iterator[None]:
    """Replace the waiting and sleeping of the production modules by the simulation's."""
    clock = SimpleNamespace(
        monotonic=lambda: scheduler.now_s, perf_counter=lambda: scheduler.now_s, sleep=scheduler.wait
    )
    threads = SimpleNamespace(
        Condition=lambda: Condition(scheduler),
        Event=lambda: Event(scheduler),
        Lock=lambda: Lock(scheduler),
        RLock=lambda: Lock(scheduler),
        Thread=lambda **arguments: Thread(scheduler, **arguments),
    )
    with ExitStack() as patched:
        for module in CLOCKS:
            patched.enter_context(patch(f"{module}.time", clock))
        for module in THREADS:
            patched.enter_context(patch(f"{module}.threading", threads))
        for module in EXECUTORS:
            patched.enter_context(patch(f"{module}.ThreadPoolExecutor", lambda **_: Executor(scheduler)))
        yield


class Event(threading.Event):
    """An event that only tasks wait for."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._changed = Condition(scheduler)

    def set(self) -> None:
        super().set()
        self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        return self._changed.wait_for(self.is_set, timeout)


class Condition:
    """A condition variable whose lock is always free, because a task yields only where it waits."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting: list[tuple[Task, int]] = []

    def __enter__(self) -> None:
        """Do nothing: the lock is free."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: nothing was locked."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a notification; return False if the timeout passed first."""
        task = self._scheduler.current()
        self._waiting.append((task, task.turn))
        return self._scheduler.wait(timeout)

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until the predicate holds; return False if the timeout passed first."""
        ends_s = None if timeout is None else self._scheduler.now_s + timeout
        while not predicate() and not self._scheduler.is_over:
            left_s = None if ends_s is None else ends_s - self._scheduler.now_s
            if left_s is not None and left_s <= 0:
                return False
            self.wait(left_s)
        return predicate()

    def notify_all(self) -> None:
        """Wake all waiting tasks."""
        waiting, self._waiting = self._waiting, []
        for task, turn in waiting:
            self._scheduler.wake(task, turn)


class Lock:
    """A reentrant lock."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._released = Condition(scheduler)
        self._holder: greenlet | None = None
        self._depth = 0

    def __enter__(self) -> None:
        thread = getcurrent()
        self._released.wait_for(lambda: self._holder in (None, thread))
        self._holder, self._depth = thread, self._depth + 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self._holder = None
            self._released.notify_all()


class Thread:
    """A task of the process that creates it."""

    def __init__(self, scheduler: Scheduler, target: Callable[[], object], **_: object) -> None:
        self._scheduler = scheduler
        self._target = target
        self._ended = Event(scheduler)

    def start(self) -> None:
        """Start the task beside its creator."""
        self._scheduler.start(self._scheduler.process(), self._run)

    def join(self) -> None:
        """Wait until the task ends."""
        self._ended.wait()

    def _run(self) -> None:
        try:
            self._target()
        finally:
            self._ended.set()


class Executor:
    """An executor that runs submitted calls in its own task."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._futures: list[Future] = []

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for future in self._futures:
            future.thread.join()

    def submit(self, function: Callable[..., object], *arguments: object) -> Future:
        """Queue a call after those submitted before."""
        before = self._futures[-1] if self._futures else None
        self._futures.append(Future(self._scheduler, function, arguments, before))
        return self._futures[-1]


class Future:
    """A submitted call."""

    def __init__(
        self, scheduler: Scheduler, function: Callable[..., object], arguments: tuple[object, ...], after: Future | None
    ) -> None:
        self._call = function, arguments
        self._after = after
        self._answer: Any = None
        self._error: Exception | None = None
        self.thread = Thread(scheduler, self._run)
        self.thread.start()

    def result(self) -> Any:
        """Wait for the call; return its result, or raise its error."""
        self.thread.join()
        if self._error is not None:
            raise self._error
        return self._answer

    def _run(self) -> None:
        if self._after is not None:
            self._after.thread.join()
        function, arguments = self._call
        try:
            self._answer = function(*arguments)
        except Exception as error:  # noqa: BLE001 - whoever asks for the result meets it
            self._error = error

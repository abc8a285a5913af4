"""Activity of a worker process: recorded by its threads, published by its heartbeat."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pipeline.ingest.retry import RecoveryAction, action_for
from pipeline.runtime.heartbeat import Heartbeat, StateReason, WorkerState, reason_for
from sinks.batch import Batch, Progress
from sinks.sink import Sink


class Activity:
    """Activity of one thread: for one generation, or for the process as a whole.

    Args:
        paused: set while the thread is to pause.
        changed: set at every change that the heartbeat publishes at once.
    """

    def __init__(self, paused: threading.Event | None = None, changed: threading.Event | None = None) -> None:
        self.paused = paused or threading.Event()
        self._changed = changed or threading.Event()
        self.is_at_work = False
        self.applied_at: datetime | None = None
        self.waits_for: StateReason | None = None
        self.stopped_at: StateReason | None = None
        self.restarts_for: StateReason | None = None

    @contextmanager
    def of_work(self) -> Iterator[None]:
        """Record that the thread is at work while the block runs, and the error that it ends with."""
        self.is_at_work = True
        self._changed.set()
        try:
            yield
        except Exception as error:
            self.stop(error)
            raise
        finally:
            self.is_at_work = False
            self.waits_for = None
            self._changed.set()

    def stop(self, error: BaseException) -> None:
        """Record the error that ended the work, if it requires an operator or a restart."""
        if action_for(error) is RecoveryAction.STOP:
            self.stopped_at = reason_for(error)
        elif action_for(error) is RecoveryAction.RESTART:
            self.restarts_for = reason_for(error)
        self._changed.set()

    def wait(self, action: str, error: BaseException) -> None:
        """Record that an action is being retried, and why."""
        is_new = self.waits_for is None
        self.waits_for = reason_for(error, action)
        if is_new:
            self._changed.set()

    def resume(self) -> None:
        """Record that the action succeeded."""
        if self.waits_for is not None:
            self.waits_for = None
            self._changed.set()

    def apply(self) -> None:
        """Record that a batch was written."""
        self.applied_at = datetime.now(UTC)


class ObservedSink:
    """Sink that records its writes."""

    def __init__(self, sink: Sink, activity: Activity) -> None:
        self._sink = sink
        self._activity = activity

    def prepare(self) -> None:
        self._sink.prepare()

    def progress(self) -> Progress:
        return self._sink.progress()

    def write(self, batch: Batch) -> None:
        self._sink.write(batch)
        self._activity.apply()

    def cutover(self) -> None:
        self._sink.cutover()


class ProcessActivity:
    """Activity of one worker process."""

    def __init__(self, model: str) -> None:
        self.paused, self.changed = threading.Event(), threading.Event()
        self.of_process = Activity(self.paused, self.changed)
        self.is_standby = False
        self.restarted_after: StateReason | None = None
        self._model = model
        self._started_at = self._since = datetime.now(UTC)
        self._state = WorkerState.STARTING
        self._of_generations: dict[int, Activity] = {}

    def of(self, generation: int) -> Activity:
        """Start the activity of a generation's worker, in place of an earlier one."""
        activity = Activity(self.paused, self.changed)
        # Create a new dictionary, because the heartbeat's thread may be reading the old one.
        self._of_generations = {**self._of_generations, generation: activity}
        return activity

    def heartbeat(self) -> Heartbeat:
        """Return the current heartbeat. Only one thread may call this method."""
        workers = self._of_generations
        at_work = {number: one for number, one in workers.items() if one.is_at_work}
        waits_for = next((one.waits_for for one in (self.of_process, *at_work.values()) if one.waits_for), None)
        state = self._state_now(is_at_work=bool(at_work), is_waiting=waits_for is not None)
        if state is not self._state:
            self._state, self._since = state, datetime.now(UTC)
        return Heartbeat(
            model=self._model,
            host=socket.gethostname(),
            pid=os.getpid(),
            state=state,
            since=self._since,
            started_at=self._started_at,
            generations=tuple(sorted(at_work)),
            applied_at=max((one.applied_at for one in workers.values() if one.applied_at), default=None),
            reason=self.of_process.stopped_at or self.of_process.restarts_for or waits_for,
            stopped_generations={
                number: one.stopped_at for number, one in workers.items() if one.stopped_at and not one.is_at_work
            },
            restarted_after=self.restarted_after,
        )

    def _state_now(self, *, is_at_work: bool, is_waiting: bool) -> WorkerState:
        if self.of_process.stopped_at is not None:
            return WorkerState.STOPPED
        if self.of_process.restarts_for is not None:
            return WorkerState.RESTARTING
        if self.is_standby:
            return WorkerState.STANDBY
        if is_waiting:
            return WorkerState.WAITING
        if not is_at_work:
            return WorkerState.STARTING
        return WorkerState.PAUSED if self.paused.is_set() else WorkerState.WORKING

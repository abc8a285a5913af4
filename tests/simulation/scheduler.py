"""Virtual time, and tasks that share it: one runs at a time, and a seed determines the next one.

Tasks are greenlets, so that the blocking production code can be suspended in the middle of a call without changes. A
task yields only where it waits, so that a seed determines every interleaving.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from greenlet import GreenletExit, getcurrent, greenlet


@dataclass(eq=False)
class Process:
    """The tasks of one simulated process, which end together.

    Args:
        stalled_until_s: the process does not run before this time, as after SIGSTOP.
    """

    name: str
    is_alive: bool = True
    stalled_until_s: float = 0.0


@dataclass(eq=False)
class Task:
    """One thread of a process. `turn` counts its waits, so that a late wake-up does not end a later wait."""

    process: Process
    thread: greenlet
    turn: int = 0

    @property
    def is_over(self) -> bool:
        """True if the task has returned, or was killed."""
        return self.thread.dead or not self.process.is_alive


@dataclass(order=True)
class _WakeUp:
    at_s: float
    lot: float
    task: Task = field(compare=False)
    turn: int = field(compare=False)
    is_signal: bool = field(compare=False)


class Stuck(AssertionError):
    """The simulation has no runnable task left, or exceeds its steps."""


class Scheduler:
    """Runner of tasks until a condition holds.

    Args:
        lots: the random generator that chooses the next task.
    """

    def __init__(self, lots: Random) -> None:
        self.now_s = 0.0
        self.steps = 0
        self._lots = lots
        self._hub = getcurrent()
        self._queue: list[_WakeUp] = []
        self._tasks: dict[greenlet, Task] = {}
        self.is_over = False

    def start(self, process: Process, function: Callable[[], object]) -> Task:
        """Start a task."""
        task = Task(process, greenlet(lambda _: function(), self._hub))
        self._tasks[task.thread] = task
        self._push(task, 0.0, is_signal=True)
        return task

    def process(self) -> Process:
        """Return the running process."""
        return self.current().process

    def name_of_process(self) -> str:
        """Return the name of the running process."""
        task = self._tasks.get(getcurrent())
        return task.process.name if task is not None else "nobody"

    def pause(self, longest_s: float) -> None:
        """Wait a random time up to `longest_s` while other tasks run; outside of tasks, return immediately."""
        if getcurrent() in self._tasks:
            self.wait(self._lots.uniform(0, longest_s))

    def wait(self, timeout_s: float | None) -> bool:
        """Let other tasks run until `wake` is called for this task; return False if the timeout passed first."""
        task = self.current()
        if self.is_over:
            raise GreenletExit
        if timeout_s is not None:
            self._push(task, timeout_s, is_signal=False)
        return bool(self._hub.switch())

    def current(self) -> Task:
        """Return the running task."""
        return self._tasks[getcurrent()]

    def wake(self, task: Task, turn: int) -> None:
        """Resume a task, if it is still in the wait of this turn."""
        self._push(task, 0.0, is_signal=True, turn=turn)

    def kill(self, process: Process) -> None:
        """End a process at any point; none of its code runs again, not even its cleanup."""
        process.is_alive = False
        if getcurrent() is not self._hub and process is self.current().process:
            self._hub.switch()

    def run(self, until: Callable[[], bool], at_most_steps: int) -> None:
        """Run tasks until the condition holds.

        Raises:
            Stuck: the condition can never hold, or does not hold within `at_most_steps`.
        """
        while not until():
            if not self._queue or self.steps > at_most_steps:
                raise Stuck(f"nothing more happens after {self.now_s:.1f} s and {self.steps} steps")
            next_ = heapq.heappop(self._queue)
            task = next_.task
            if task.is_over or task.turn != next_.turn:
                continue
            if task.process.stalled_until_s > next_.at_s:
                next_.at_s = task.process.stalled_until_s
                heapq.heappush(self._queue, next_)
                continue
            self.steps += 1
            self.now_s = max(self.now_s, next_.at_s)
            task.turn += 1
            task.thread.switch(next_.is_signal)

    def close(self) -> None:
        """Unwind the remaining tasks without effects."""
        self.is_over = True
        for task in list(self._tasks.values()):
            if not task.thread.dead:
                task.thread.throw(GreenletExit)

    def _push(self, task: Task, after_s: float, *, is_signal: bool, turn: int | None = None) -> None:
        due = task.turn if turn is None else turn
        heapq.heappush(self._queue, _WakeUp(self.now_s + after_s, self._lots.random(), task, due, is_signal))

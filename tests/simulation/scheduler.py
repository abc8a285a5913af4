"""Virtual time, and the tasks that share it: one runs at a time, and a seed says which is next.

Tasks are greenlets, so that the production code, which blocks and knows nothing of all this, can be left in the middle
of a call. A task gives way only where it waits, so that a seed decides every interleaving.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from greenlet import GreenletExit, getcurrent, greenlet


@dataclass(eq=False)
class Process:
    """What lives and dies together: the tasks of one simulated process.

    Args:
        stalled_until_s: it does not run before, as after SIGSTOP.
    """

    name: str
    is_alive: bool = True
    stalled_until_s: float = 0.0


@dataclass(eq=False)
class Task:
    """One thread of a process. Its turn counts how often it has waited, so that a late wake-up wakes nobody else."""

    process: Process
    thread: greenlet
    turn: int = 0

    @property
    def is_over(self) -> bool:
        """Whether it has run to its end, or was killed."""
        return self.thread.dead or not self.process.is_alive


@dataclass(order=True)
class _WakeUp:
    at_s: float
    lot: float
    task: Task = field(compare=False)
    turn: int = field(compare=False)
    is_signal: bool = field(compare=False)


class Stuck(AssertionError):
    """Nothing is left that could ever happen, or too much happens."""


class Scheduler:
    """Runs tasks until a condition holds.

    Args:
        lots: draws which of several tasks goes first.
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
        """The process that runs now."""
        return self.current().process

    def name_of_process(self) -> str:
        """Who runs now."""
        task = self._tasks.get(getcurrent())
        return task.process.name if task is not None else "nobody"

    def pause(self, longest_s: float) -> None:
        """Take up to so long, and let others run meanwhile; outside of tasks, nothing waits."""
        if getcurrent() in self._tasks:
            self.wait(self._lots.uniform(0, longest_s))

    def wait(self, timeout_s: float | None) -> bool:
        """Let others run until `wake` is called for this task; False where the time was over first."""
        task = self.current()
        if self.is_over:
            raise GreenletExit
        if timeout_s is not None:
            self._push(task, timeout_s, is_signal=False)
        return bool(self._hub.switch())

    def current(self) -> Task:
        """The task that runs now."""
        return self._tasks[getcurrent()]

    def wake(self, task: Task, turn: int) -> None:
        """Let a task go on, where it still waits as it did in this turn."""
        self._push(task, 0.0, is_signal=True, turn=turn)

    def kill(self, process: Process) -> None:
        """End a process wherever it is; nothing of it runs again, not even what it would do at its end."""
        process.is_alive = False
        if getcurrent() is not self._hub and process is self.current().process:
            self._hub.switch()

    def run(self, until: Callable[[], bool], at_most_steps: int) -> None:
        """Let things happen until the condition holds.

        Raises:
            Stuck: it never will, or not within so many steps.
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
        """Unwind whatever is left; it can do nothing any more."""
        self.is_over = True
        for task in list(self._tasks.values()):
            if not task.thread.dead:
                task.thread.throw(GreenletExit)

    def _push(self, task: Task, after_s: float, *, is_signal: bool, turn: int | None = None) -> None:
        due = task.turn if turn is None else turn
        heapq.heappush(self._queue, _WakeUp(self.now_s + after_s, self._lots.random(), task, due, is_signal))

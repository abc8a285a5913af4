"""Processes that outlive their starter, known again by process id and start time."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

GUARD = 3
"""The descriptor that a launched process closes once it is on record."""

_POLL_S = 0.02
_SIGKILL_WITHIN_S = 30

_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
"""What a server takes over from its starter's environment; on the rest it must not depend."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to run.

    Attributes:
        arguments: the program and its arguments.
        environment: what to add to the environment.
        folder: the working directory.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path


@dataclass(frozen=True)
class Running:
    """One process, past or present.

    Attributes:
        pid: its process id, which the system gives to another process one day.
        started: when it started, as the system counts; with `pid` it names one process for good.
    """

    pid: int
    started: float

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        try:
            return started_at(self.pid) == self.started and not _is_zombie(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return False

    def stop(self, first: signal.Signals, patience_s: float) -> None:
        """Ask the process to end; after `patience_s` seconds, end what is left of it and its children."""
        if self.is_alive:
            family = self._family()
            with suppress(ProcessLookupError):
                os.kill(self.pid, first)
            _end(_still_there(family, patience_s))

    def kill(self) -> None:
        """End the process and its children at once, with SIGKILL."""
        if self.is_alive:
            _end(self._family())

    def _family(self) -> list[psutil.Process]:
        parent = psutil.Process(self.pid)
        return [parent, *parent.children(recursive=True)]


def started_at(pid: int) -> float:
    """Return when a process started: clock ticks since boot where /proc tells, else seconds since 1970.

    Ticks do not move when the clock is set.

    Raises:
        psutil.NoSuchProcess: there is none.

    Source: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, field 22
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return psutil.Process(pid).create_time()
    return float(stat.rpartition(")")[2].split()[19])


def spawn(command: Command, *, record: Path, log: Path, guard: int) -> Running:
    """Start a command in a session of its own, so that it survives its starter.

    The new process writes its own identity to `record` before it becomes the command: whenever the starter dies, a
    server that runs is a server on record.

    Args:
        command: what to run.
        record: where the process writes who it is.
        log: the file at whose end its output goes.
        guard: a descriptor that the process holds open until it is on record. Where that is a lock, nobody who waits
            for it misses a process that was just started.
    """
    # -P: a folder named `stack` where the caller happens to stand is not this package.
    launcher = [sys.executable, "-P", "-m", "stack.exec_server", str(record), str(command.folder)]
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        sys.executable,
        [*launcher, *command.arguments],
        {**{name: os.environ[name] for name in _INHERITED if name in os.environ}, **command.environment},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, guard, GUARD),
        ],
    )
    return Running(pid, started_at(pid))


def read_pid_file(record: Path) -> Running | None:
    """Return the process that wrote `record`, or None where nobody did."""
    try:
        return Running(**json.loads(record.read_text()))
    except FileNotFoundError:
        return None


def running_process(record: Path) -> Running | None:
    """Return the process that wrote `record` if it still runs, else None."""
    running = read_pid_file(record)
    return running if running and running.is_alive else None


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _still_there(processes, _SIGKILL_WITHIN_S)


def _still_there(processes: list[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Wait until all have ended, at most `patience_s` seconds, and return those that have not."""
    deadline = time.monotonic() + patience_s
    left = [process for process in processes if not _has_ended(process)]
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        left = [process for process in left if not _has_ended(process)]
    return left


def _has_ended(process: psutil.Process) -> bool:
    with suppress(ChildProcessError):
        return os.waitpid(process.pid, os.WNOHANG)[0] == process.pid
    try:
        return not process.is_running() or _is_zombie(process)
    except psutil.NoSuchProcess:
        return True


def _is_zombie(process: psutil.Process) -> bool:
    """Say whether all of a process has ended, and only its parent has not asked for it yet.

    The first thread may end long before the others, which still hold files and ports.
    """
    return bool(process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1)

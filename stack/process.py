"""Processes that outlive their starter, identified by process id and start time."""

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
"""File descriptor that a launched process closes after it has recorded itself."""

_POLL_S = 0.02
_SIGKILL_WITHIN_S = 30

_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
"""Environment variables that a server inherits. A server must not depend on others."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """Command to run.

    Attributes:
        arguments: the program and its arguments.
        environment: additional environment variables.
        folder: the working directory.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path


@dataclass(frozen=True)
class Running:
    """One process, running or ended.

    Attributes:
        pid: its process id, which the system may reuse later.
        started: its start time, in the system's unit. Together with `pid` it identifies one process permanently.
    """

    pid: int
    started: float

    @property
    def is_alive(self) -> bool:
        """True if this exact process is still running."""
        try:
            return started_at(self.pid) == self.started and not _is_zombie(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return False

    def stop(self, first: signal.Signals, patience_s: float) -> None:
        """Send the process a signal to end; after `patience_s` seconds, kill it and its children if they still run."""
        if self.is_alive:
            family = self._family()
            with suppress(ProcessLookupError):
                os.kill(self.pid, first)
            _end(_still_there(family, patience_s))

    def kill(self) -> None:
        """Kill the process and its children with SIGKILL."""
        if self.is_alive:
            _end(self._family())

    def _family(self) -> list[psutil.Process]:
        parent = psutil.Process(self.pid)
        return [parent, *parent.children(recursive=True)]


def started_at(pid: int) -> float:
    """Return the start time of a process: clock ticks since boot if /proc has it, else seconds since 1970.

    Ticks do not change when the clock is set.

    Raises:
        psutil.NoSuchProcess: there is no such process.

    Source: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, field 22
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return psutil.Process(pid).create_time()
    return float(stat.rpartition(")")[2].split()[19])


def spawn(command: Command, *, record: Path, log: Path, guard: int) -> Running:
    """Start a command in its own session, so that it survives its starter.

    The new process records its own identity in `record` before it executes the command. So a running server is always
    on record, even if the starter dies.

    Args:
        command: the command to run.
        record: the file in which the process records its identity.
        log: the file to which its output is appended.
        guard: a descriptor that the process keeps open until it is on record. If it is a lock, the next owner of the
            lock finds every process that was started.
    """
    # -P: a folder named `stack` in the caller's working directory must not replace this package.
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
    """Return the process that wrote `record`, or None if the file is missing."""
    try:
        return Running(**json.loads(record.read_text()))
    except FileNotFoundError:
        return None


def running_process(record: Path) -> Running | None:
    """Return the process that wrote `record` if it is still running, else None."""
    running = read_pid_file(record)
    return running if running and running.is_alive else None


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _still_there(processes, _SIGKILL_WITHIN_S)


def _still_there(processes: list[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Wait up to `patience_s` seconds for all to end, and return those that have not."""
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
    """Return whether a process has ended completely, and only waits for its parent to collect it.

    The first thread may end long before the others, which still have files and ports open.
    """
    return bool(process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1)

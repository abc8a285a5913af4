"""Supervisor with one process per model, so that a slow, broken or restarted store does not affect the others."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from pipeline.runtime.process import EXIT_STOPPED

log = structlog.get_logger()

MAX_PAUSE_S = 30.0
STABLE_AFTER_S = 60.0
"""Run time after which a start counts as successful, so that the next crash counts as the first."""

POLL_INTERVAL_S = 5.0
"""Interval at which a stopped process's model is checked for another live generation."""

Live = Callable[[str], int | None]
"""Function that returns a model's live generation; None if its store does not answer."""

_FAILED = (EXIT_STOPPED, -signal.SIGKILL)


@dataclass
class ManagedProcess:
    """Process to keep running."""

    model: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    crashes: int = 0
    started_at: float = 0.0
    starts_again_at: float = 0.0
    exit_code: int | None = None

    @property
    def is_over(self) -> bool:
        """True if it ended for good: successfully, or with an error that requires an operator."""
        return self.exit_code is not None


@dataclass
class Supervisor:
    """Supervisor that starts the processes, restarts crashed ones, and ends them together.

    A stopped process is started again once its model has another live generation.

    Args:
        command: returns the command line of a model's process.
        log_file: file for the processes' output; None for the output of this process.
        environment: environment variables of the processes, besides those of this process.
        live: returns the live generation of a model whose process stopped; once a rebuild has made another one live,
            the
            process is started again.
        look_every_s: interval at which `live` is called.
    """

    command: Callable[[str], Sequence[str]]
    log_file: Path | None = None
    grace_s: float = 60.0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    children: list[ManagedProcess] = field(default_factory=list)
    live: Live | None = None
    look_every_s: float = POLL_INTERVAL_S

    def run(self, models: Sequence[str], stop: threading.Event) -> int:
        """Run until `stop` is set or every process is over.

        Returns:
            The exit code: 0, or 1 if a process stopped for an operator or had to be killed. A process that was
                starting, or
            waiting for its restart, counts as successful.
        """
        self.children = [ManagedProcess(model, self.command(model)) for model in models]
        try:
            while not stop.is_set() and not all(child.is_over for child in self.children):
                for child in self.children:
                    self._check(child, stop)
                stop.wait(0.2)
        finally:
            self._end()
        return EXIT_STOPPED if any(child.exit_code in _FAILED for child in self.children) else 0

    def _check(self, child: ManagedProcess, stop: threading.Event) -> None:
        if child.is_over:
            return
        if child.process is None:
            if time.monotonic() >= child.starts_again_at:
                self._start(child)
            return
        code = child.process.poll()
        if code is None:
            return
        child.process = None
        if code in (0, EXIT_STOPPED):
            child.exit_code = code
            if code:
                log.error("process stopped", model=child.model, exit_code=code, other_processes="running")
                if self.live is not None:
                    # On a thread, because a store that does not answer must not block the other processes.
                    watch = threading.Thread(target=self._await_another, args=(child, self.live, stop), daemon=True)
                    watch.start()
        else:
            self._schedule(child, code)

    def _await_another(self, child: ManagedProcess, live: Live, stop: threading.Event) -> None:
        """Allow a stopped process to start again once its model has another live generation."""
        before = live(child.model)
        while not stop.wait(self.look_every_s):
            now = live(child.model)
            if now not in {None, before}:
                log.info("live generation changed", model=child.model, generation=now)
                child.exit_code = None
                return

    def _start(self, child: ManagedProcess) -> None:
        # The pipe lets the child detect the end of this process: the kernel then closes this end.
        with self.log_file.open("ab") if self.log_file else contextlib.nullcontext() as words:
            child.process = subprocess.Popen(  # noqa: S603
                child.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.PIPE,
                stdout=words,
                stderr=words,
                start_new_session=True,
            )
        child.started_at = time.monotonic()
        log.info("process started", model=child.model, pid=child.process.pid)

    def _schedule(self, child: ManagedProcess, code: int) -> None:
        lived_s = time.monotonic() - child.started_at
        child.crashes = 1 if lived_s > STABLE_AFTER_S else child.crashes + 1
        pause_s = min(MAX_PAUSE_S, 0.5 * 2**child.crashes)
        child.starts_again_at = time.monotonic() + pause_s
        log.error("process crashed", model=child.model, exit_code=code, restart_in_s=pause_s)

    def _end(self) -> None:
        running = [child for child in self.children if child.process is not None]
        for child in running:
            assert child.process is not None
            child.process.terminate()
        deadline = time.monotonic() + self.grace_s
        for child in running:
            assert child.process is not None
            try:
                child.exit_code = child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("process did not stop in time, killing it", model=child.model)
                child.process.kill()
                child.exit_code = child.process.wait()

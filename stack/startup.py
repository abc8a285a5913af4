"""Startup of one server: start it if it is not running, and wait until it answers."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from stack.errors import ServerSilent, startup_error
from stack.paths import StackPaths
from stack.preconditions import require_free
from stack.process import Running, running_process, spawn
from stack.progress import Report
from stack.server import Server

_BOOT_WITHIN_S = 180
_POLL_S = 0.1
_LOG_TAIL_LINES = 20


@dataclass(frozen=True)
class Startup:
    """One start of a stack.

    Attributes:
        home: the folder of the stack.
        report: receives the progress.
        guard: the descriptor of the lock on the folder, kept open until every started process is on record.
        interrupted: set if the start is to end early.
    """

    home: StackPaths
    report: Report
    guard: int
    interrupted: threading.Event = field(default_factory=threading.Event)

    def start(self, server: Server) -> None:
        """Start a server unless it is running, wait for its answer, and complete its setup.

        Raises:
            PortTaken: another process listens on one of its ports.
            ServerDied: it ended before it answered.
            ServerSilent: it did not answer in time.
        """
        began = time.monotonic()
        if running := running_process(self.home.record(server.name)):
            self._await_answer(server, running)
            server.post_start()
            self.report.found(server.name, server.address)
            return
        self._await_answer(server, self._start(server))
        server.post_start()
        self.report.ready(server.name, server.address, time.monotonic() - began)

    def _start(self, server: Server) -> Running:
        for port in server.ports:
            require_free(port, server.name, self.home.ports_file)
        server.prepare()
        log = self.home.log(server.name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        return spawn(server.command(), record=self.home.record(server.name), log=log, guard=self.guard)

    def _await_answer(self, server: Server, running: Running) -> None:
        deadline = time.monotonic() + _BOOT_WITHIN_S
        while not server.is_ready():
            if not running.is_alive:
                raise startup_error(server.name, self._log_tail(server.name))
            if self.interrupted.wait(_POLL_S):
                raise ServerSilent(f"The start was interrupted; {server.name} may still become ready.")
            if time.monotonic() > deadline:
                raise ServerSilent(
                    f"{server.name} runs as process {running.pid}, and does not answer at {server.address}.",
                    log_tail=self._log_tail(server.name),
                )

    def _log_tail(self, server: str) -> str:
        lines = self.home.log(server).read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])

"""Builder processes that fill a generation, supervised by the replay."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.runtime.process import EXIT_STOPPED
from pipeline.runtime.supervisor import Supervisor

Command = Callable[[str], Sequence[str]]
"""Function that returns the command line of a process, given its name."""


class BuilderFailed(Exception):
    """A builder process stopped for a reason that only an operator can remove. The live generation is unchanged."""

    remedy = "Carry out the remedy in this message, then start the replay again: it resumes where it stopped."


@dataclass(frozen=True)
class Builders:
    """Supervised builder processes.

    Args:
        log_file: their output.
    """

    supervisor: Supervisor
    log_file: Path
    stop: threading.Event
    thread: threading.Thread

    def end(self) -> None:
        """Stop the processes after their current batch. May be called again."""
        self.stop.set()
        self.thread.join()

    def raise_if_stopped(self) -> None:
        """Check that no process has stopped for good.

        Raises:
            BuilderFailed: a process has stopped; its last errors are in the message.
        """
        if any(child.exit_code == EXIT_STOPPED for child in self.supervisor.children):
            said = [line for line in self.log_file.read_text().splitlines() if line.startswith(("error:", "remedy:"))]
            raise BuilderFailed("; ".join([*said[-2:], f"more in {self.log_file}"]))


@contextmanager
def running_builders(
    names: Sequence[str], command: Command, log_file: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Builders]:
    """Run processes during the block, and restart those that crash."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    log_file.write_text("")
    supervisor, until = Supervisor(command, log_file, environment=environment or {}), threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(names, until), name="builders")
    thread.start()
    builders = Builders(supervisor, log_file, until, thread)
    try:
        yield builders
    finally:
        builders.end()

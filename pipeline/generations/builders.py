"""The processes that fill a generation, kept running beside whoever waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.runtime.process import EXIT_STOPPED
from pipeline.runtime.supervisor import Supervisor

Command = Callable[[str], Sequence[str]]
"""The command line of a process, by its name."""


class BuilderFailed(Exception):
    """A process that fills a generation met what only an operator can mend. The live generation is untouched."""

    remedy = "Carry out the remedy in this message, then start the replay again: it goes on where it was."


@dataclass(frozen=True)
class Builders:
    """Processes that are kept running.

    Args:
        log_file: what they say.
    """

    supervisor: Supervisor
    log_file: Path
    until: threading.Event
    thread: threading.Thread

    def end(self) -> None:
        """Let them finish what they have in hand; may be called again."""
        self.until.set()
        self.thread.join()

    def raise_if_stopped(self) -> None:
        """Look whether all of them go on.

        Raises:
            BuilderFailed: one has stopped for good; its last words are in the message.
        """
        if any(child.exit_code == EXIT_STOPPED for child in self.supervisor.children):
            said = [line for line in self.log_file.read_text().splitlines() if line.startswith(("error:", "remedy:"))]
            raise BuilderFailed("; ".join([*said[-2:], f"more in {self.log_file}"]))


@contextmanager
def running_builders(
    names: Sequence[str], command: Command, log_file: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Builders]:
    """Keep processes running for as long as the block lasts; a crash of one starts it again."""
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

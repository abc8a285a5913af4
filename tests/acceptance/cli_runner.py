"""The command `readmodels`, run in its own processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.checkout import CHECKOUT
from tests.support.forked_command import can_fork, run_forked
from tests.support.waiting import wait_for

MODELS = ("elasticsearch", "redis", "duckdb")
STARTS_WITHIN_S = 90.0
ENDS_WITHIN_S = 90.0
ENDS_BY_ITSELF_WITHIN_S = 900.0
"""Time limit of a command; the longest is a replay of all models on a busy machine."""


@dataclass(frozen=True)
class Command:
    """The command with the options that precede a command.

    Args:
        environment: variables added to the environment, such as settings.
        folder: working directory.
    """

    home: Path
    config: Path = CHECKOUT / "readmodels.toml"
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = CHECKOUT

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        if can_fork(self.environment):
            words = tuple(self._line(words)[3:])
            return run_forked(words, self._environment, self.folder, ENDS_BY_ITSELF_WITHIN_S)
        return subprocess.run(
            self._line(words),
            env=self._environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ENDS_BY_ITSELF_WITHIN_S,
            check=False,
        )

    def start(self, log: Path, *words: str) -> Run:
        """Run a command that does not end by itself; its output goes to `log`."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                self._line(words),
                env=self._environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return Run(process, log)

    def _line(self, words: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "pipeline.cli", "--config", str(self.config), "--home", str(self.home), *words]

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(CHECKOUT), "NO_COLOR": "1", **self.environment}


@dataclass(frozen=True)
class Run:
    """A running `readmodels run`: the started process, and its children, one per model."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def is_running(self) -> bool:
        """True until the started process ends."""
        return self.process.poll() is None

    @property
    def said(self) -> str:
        """The output of the process and its children so far."""
        return self.log.read_text()

    def lines(self, *words: str) -> list[str]:
        """Return the output lines that contain all of these words."""
        return [line for line in self.said.splitlines() if all(word in line for word in words)]

    def says(self, *words: str, within_s: float = STARTS_WITHIN_S, times: int = 1) -> list[str]:
        """Wait until `times` lines contain all of these words."""

        def said_often() -> list[str] | None:
            lines = self.lines(*words)
            return lines if len(lines) >= times else None

        return wait_for(said_often, within_s, lambda: f"{times} lines with {words}; it said\n{self.end_of_log()}")

    def workers(self) -> dict[str, psutil.Process]:
        """Return the running children, by model."""
        found = {}
        for child in psutil.Process(self.process.pid).children() if self.is_running else []:
            try:
                line = child.cmdline()
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            if "work" in line:
                found[line[line.index("work") + 1]] = child
        return found

    def worker(self, model: str) -> psutil.Process:
        """Wait for the child of one model, and return it."""
        return wait_for(lambda: self.workers().get(model), STARTS_WITHIN_S, self.end_of_log)

    def is_working(self, *models: str) -> None:
        """Wait until the workers of these models have their partitions."""
        for model in models or MODELS:
            self.says('event="worker started"', f"model={model}")

    def interrupt(self) -> None:
        """Send the signal of ^C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """End the process as an operator does, and return its exit code."""
        self.process.terminate()
        return self.process.wait(ENDS_WITHIN_S)

    def kill(self) -> list[psutil.Process]:
        """Kill the started process, and return the children that it leaves behind."""
        children = list(self.workers().values())
        self.process.kill()
        self.process.wait()
        return children

    def kill_all(self) -> None:
        """Kill the process and all of its children."""
        children = self.kill()
        for child in children:
            if child.is_running():
                child.kill()
        psutil.wait_procs(children, ENDS_WITHIN_S)

    def end_of_log(self) -> str:
        """Return the last lines of the output."""
        return "\n".join(self.said.splitlines()[-40:])

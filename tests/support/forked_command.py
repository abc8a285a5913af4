"""The command `readmodels` in its own process, forked from a process that has already imported it.

The tests run the command many hundred times, and its imports take a second of processor time each time.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.cli.commands import MODULES

SETTINGS = "READMODELS_"
STORES = ("sinks.elasticsearch.store", "sinks.redis.store", "sinks.duckdb.store")
IMPORTED = (*(f"pipeline.cli.{module}" for module in MODULES.values()), *STORES, __name__)

_processes = get_context("forkserver")
_processes.set_forkserver_preload(list(IMPORTED))


def can_fork(environment: Mapping[str, str]) -> bool:
    """Return whether the command itself reads the added environment variables, not the interpreter at its start."""
    return all(name.startswith(SETTINGS) for name in environment)


def run_forked(
    words: Sequence[str], environment: Mapping[str, str], folder: Path, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end.

    Args:
        words: arguments after `readmodels`.
        environment: the whole environment of the process.
        folder: working directory.

    Raises:
        subprocess.TimeoutExpired: the command took longer and was killed.
    """
    with TemporaryDirectory() as outputs:
        output, errors = Path(outputs) / "output", Path(outputs) / "errors"
        process = _processes.Process(
            target=_command, args=(list(words), dict(environment), folder, output, errors), daemon=True
        )
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(words), timeout_s, output.read_bytes(), errors.read_bytes())
        return subprocess.CompletedProcess(list(words), process.exitcode, output.read_text(), errors.read_text())


def _command(words: list[str], environment: dict[str, str], folder: Path, output: Path, errors: Path) -> None:
    for path, descriptor in ((output, sys.stdout.fileno()), (errors, sys.stderr.fileno())):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["readmodels", *words]
    runpy.run_module("pipeline.cli", run_name="__main__", alter_sys=True)

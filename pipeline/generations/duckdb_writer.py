"""Writer process that opens DuckDB's files during a replay if no worker runs."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.config import Settings
from pipeline.generations.builders import Builders, running_builders
from sinks.duckdb.catalog import read_catalog
from sinks.duckdb.errors import DuckdbBroken
from sinks.duckdb.remote.server import WriterNotRunning, is_writer_running

OPENS_WITHIN_S = 60.0
"""Timeout for a process to open the files. A large WAL is replayed first."""
POLL_INTERVAL_S = 0.2


@dataclass(frozen=True)
class Writer:
    """Process that waits for the lock on the files, in case no worker has them open.

    Args:
        settings: the settings with which its tables can be read.
    """

    process: Builders
    settings: Settings


@contextmanager
def writing(settings: Settings, command: Callable[[], Sequence[str]], log_file: Path) -> Iterator[Writer]:
    """Run a writer during the block, which begins once some process has the files open.

    Raises:
        BuilderFailed: the writer cannot open the files; its last errors are in the message.
        WriterNotRunning: no process opened them in time.
    """
    readable = settings if settings.duckdb.serve else _served(settings)
    served = {
        "READMODELS_DUCKDB__SERVE": readable.duckdb.serve,
        "READMODELS_DUCKDB__TOKEN": readable.duckdb.token,
    }
    with running_builders(["writer"], lambda _: command(), log_file, served) as process:
        deadline = time.monotonic() + OPENS_WITHIN_S
        while not (is_writer_running(settings.duckdb.directory) and _is_ledger_whole(settings)):
            process.raise_if_stopped()
            if time.monotonic() > deadline:
                raise WriterNotRunning(
                    f"no process holds DuckDB's files after {OPENS_WITHIN_S:g} s: look into {log_file}"
                )
            time.sleep(POLL_INTERVAL_S)
        yield Writer(process, readable)


def _is_ledger_whole(settings: Settings) -> bool:
    """Return whether the catalog can be read. A writer repairs it after it has opened the files."""
    try:
        read_catalog(settings.duckdb.directory)
    except DuckdbBroken:
        return False
    return True


def _served(settings: Settings) -> Settings:
    """Return the settings with a private address, from which the comparison reads the writer's tables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    private = replace(settings.duckdb, serve=f"quack:127.0.0.1:{port}", token=secrets.token_hex(16))
    return settings.model_copy(update={"duckdb": private})

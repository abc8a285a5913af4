"""The process that holds DuckDB's files while a replay runs and no worker does."""

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
"""How long a process may take to hold the files: a large WAL is replayed first."""
POLL_INTERVAL_S = 0.2


@dataclass(frozen=True)
class Writer:
    """A process that stands by for the files, beside a worker that may hold them.

    Args:
        settings: those under which its tables can be read.
    """

    process: Builders
    settings: Settings


@contextmanager
def writing(settings: Settings, command: Callable[[], Sequence[str]], log_file: Path) -> Iterator[Writer]:
    """Keep a writer running for as long as the block lasts, and begin once some process holds the files.

    Raises:
        BuilderFailed: the writer cannot hold them; its last words are in the message.
        WriterNotRunning: no process holds them in time.
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
    """Whether the ledger can be read: a writer mends it once it holds the files."""
    try:
        read_catalog(settings.duckdb.directory)
    except DuckdbBroken:
        return False
    return True


def _served(settings: Settings) -> Settings:
    """The settings with an address of the replay's own: the comparison reads what the writer holds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    private = replace(settings.duckdb, serve=f"quack:127.0.0.1:{port}", token=secrets.token_hex(16))
    return settings.model_copy(update={"duckdb": private})

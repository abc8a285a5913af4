"""Description of the analytics model in DuckDB. DuckDB is imported when the store is opened."""

from __future__ import annotations

import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Settings
from pipeline.stores.read_model import ModelKind, ReadModel, ServedSettings, SingleWriter, StoreWriter
from sinks.sink import Store

if TYPE_CHECKING:
    from sinks.duckdb.store import DuckdbStore

OPENS_WITHIN_S = 60.0
"""Timeout for a process to open the files. A large WAL is replayed first."""
POLL_INTERVAL_S = 0.2


def open_duckdb(settings: Settings) -> DuckdbStore:
    """Open the DuckDB store. The caller closes it."""
    from sinks.duckdb.analytics_views import shipped_views
    from sinks.duckdb.store import DuckdbStore

    duckdb = settings.duckdb
    shapes = settings.definitions.row_shapes()
    return DuckdbStore(duckdb.directory, shapes, duckdb.memory_limit, shipped_views(duckdb.time_zone))


@contextmanager
def _opened(settings: Settings) -> Iterator[Store]:
    from sinks.duckdb.remote.server import is_writer_running

    remote = is_writer_running(settings.duckdb.directory)
    with _opened_remote(settings) if remote else closing(open_duckdb(settings)) as store:
        yield store


def _opened_remote(settings: Settings) -> AbstractContextManager[Store]:
    from sinks.duckdb.remote.client import RemoteDuckdbStore

    return nullcontext(RemoteDuckdbStore(settings.duckdb.directory))


@contextmanager
def _opened_writer(settings: Settings) -> Iterator[StoreWriter]:
    from pipeline.stores.duckdb.writer import DuckdbWriter

    with closing(open_duckdb(settings)) as store:
        yield DuckdbWriter(store, settings)


def _wait_for_writer(settings: Settings, require_at_work: Callable[[], None], log_file: Path) -> None:
    """Wait until a process has the files open and has repaired the catalog.

    Raises:
        WriterNotRunning: no process opened them in time.
    """
    from sinks.duckdb.remote.server import WriterNotRunning, is_writer_running

    deadline = time.monotonic() + OPENS_WITHIN_S
    while not (is_writer_running(settings.duckdb.directory) and _is_catalog_whole(settings)):
        require_at_work()
        if time.monotonic() > deadline:
            raise WriterNotRunning(f"no process holds DuckDB's files after {OPENS_WITHIN_S:g} s: look into {log_file}")
        time.sleep(POLL_INTERVAL_S)


def _is_catalog_whole(settings: Settings) -> bool:
    """Return whether the catalog can be read. A writer repairs it after it has opened the files."""
    from sinks.duckdb.catalog import read_catalog
    from sinks.duckdb.errors import DuckdbBroken

    try:
        read_catalog(settings.duckdb.directory)
    except DuckdbBroken:
        return False
    return True


def _served(settings: Settings) -> ServedSettings:
    """Return the settings with the address at which the writer serves its tables; a private one if none is set."""
    served = settings.duckdb
    if not served.serve:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        served = replace(served, serve=f"quack:127.0.0.1:{port}", token=secrets.token_hex(16))
    environment = {"READMODELS_DUCKDB__SERVE": served.serve, "READMODELS_DUCKDB__TOKEN": served.token}
    return ServedSettings(settings.model_copy(update={"duckdb": served}), environment)


def _directory(settings: Settings) -> Path:
    return settings.duckdb.directory.absolute()


def _free_bytes(settings: Settings) -> int:
    directory = _directory(settings)
    return shutil.disk_usage(next(path for path in (directory, *directory.parents) if path.exists())).free


DUCKDB = ReadModel(
    name="duckdb",
    title="DuckDB",
    kind=ModelKind.ROW,
    open=_opened,
    reader="pipeline.verify.readers.duckdb:open_duckdb_reader",
    free_bytes=_free_bytes,
    call_budget_s=lambda settings: settings.watchdog.duckdb_s,
    single_writer=SingleWriter(
        open_writer=_opened_writer, open_remote=_opened_remote, wait_for_writer=_wait_for_writer, served=_served
    ),
    directory=_directory,
)

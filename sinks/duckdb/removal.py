"""Files of DuckDB's worker in its directory, and their removal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from sinks.atomic_file import pending_of, write_whole
from sinks.duckdb.catalog import NAME, generations_in
from sinks.duckdb.errors import DuckdbBroken
from sinks.duckdb.remote.client import RemoteDuckdbStore
from sinks.duckdb.remote.server import FOLDER, LOCK, is_writer_running
from sinks.errors import StoreUnavailable
from sinks.generation import GenerationMetadata

COPIES = "copies.json"
SPILL = "spill"
"""Folder for data that exceeds DuckDB's memory."""
_GENERATION = re.compile(r"\d{6,}\.duckdb(\.wal)?")
_RELEASED_WITHIN_S = 20.0
"""Time that a worker may take to end after its generations are removed."""


class DirectoryInUse(StoreUnavailable):
    """A worker still has DuckDB's directory locked, although its generations are removed."""

    remedy = "End the worker (`readmodels run`), then repeat the command."


def records_in(directory: Path) -> list[GenerationMetadata]:
    """Return the generation metadata of a directory, or an empty list if the catalog is damaged."""
    try:
        return [*generations_in(directory).values()]
    except DuckdbBroken:
        return []


def files_in(directory: Path) -> list[Path]:
    """Return the files and folders that DuckDB's worker created in a directory, by name."""
    if not directory.is_dir():
        return []
    replaced = {directory / NAME, directory / COPIES}
    made = {directory / name for name in (FOLDER, SPILL, LOCK)} | replaced | set(map(pending_of, replaced))
    return [path for path in sorted(directory.iterdir()) if path in made or _GENERATION.fullmatch(path.name)]


def remove_files(directory: Path) -> None:
    """Remove the files of DuckDB's worker from a directory, and the directory itself if it is empty then.

    Raises:
        DirectoryInUse: a worker still has it locked after its generations were removed.
        StoreUnavailable: the worker that has it locked does not answer.
    """
    if is_writer_running(directory):
        RemoteDuckdbStore(directory).drop_all()
    with _held(directory):
        for path in files_in(directory):
            # The lock is removed last, so that no other process takes the directory while files remain.
            if path.name != LOCK:
                _remove(path)
        (directory / LOCK).unlink()
    with contextlib.suppress(OSError):
        # The directory contains other files.
        directory.rmdir()


def record_copy(directory: Path, target: Path) -> None:
    """Record a file before it is published, so that it can be removed after the setting no longer names it."""
    noted = {*recorded_copies(directory), target.absolute()}
    write_whole(directory / COPIES, json.dumps(sorted(map(str, noted))))


def recorded_copies(directory: Path) -> list[Path]:
    """Return the files that were published from a directory."""
    try:
        return [Path(path) for path in json.loads((directory / COPIES).read_text())]
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise DuckdbBroken(f"{directory / COPIES} is damaged") from error


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[None]:
    deadline = time.monotonic() + _RELEASED_WITHIN_S
    with (directory / LOCK).open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise DirectoryInUse(f"a worker holds {directory} after {_RELEASED_WITHIN_S:g} s") from error
                time.sleep(0.1)
        yield


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

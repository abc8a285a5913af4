"""DuckDB's errors in this package's words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import duckdb

from sinks.errors import (
    GenerationBroken,
    MemoryRefused,
    MutationRejected,
    SinkError,
    StoreNeedsRestart,
    StoreUnavailable,
)

_UNAVAILABLE = (duckdb.OutOfMemoryException, duckdb.TransactionException)
_DAMAGE = (
    "not a valid DuckDB database file",
    "Corrupt database file",
    "Corrupt WAL file",
    "Failure while replaying WAL file",
    "Could not read enough bytes",
)
"""DuckDB's words for a file that no retry makes readable; it has no exception of its own for them."""


_HOLDER = re.compile(r"Conflicting lock is held in (.+? \(PID \d+\))")
_REFUSED_BY_KERNEL = "bad allocation"
"""DuckDB's words where an allocation below its own `memory_limit` failed."""
_NO_ROOM = ("No space left on device", "Disk quota exceeded")


class DuckdbBroken(GenerationBroken):
    """A file of the DuckDB model is damaged or gone."""

    remedy = (
        "Run `readmodels replay duckdb --execute`: it builds a new generation from the log and shows it to readers."
    )


class StoreDiskFull(StoreUnavailable):
    """The disk that holds DuckDB's files has no room left."""

    remedy = "Free space on the disk that `duckdb.directory` names; the worker tries again by itself."


class MemoryShort(StoreUnavailable):
    """DuckDB has no memory left for a batch: it is at its own limit, or the process is at its bound."""

    remedy = "The worker tries again. If it does not succeed, set `duckdb.memory_limit` to more and restart the worker."


class FileHeld(StoreUnavailable):
    """Another process holds a DuckDB file."""

    remedy = "End the process that the message names; the worker goes on by itself."


def unavailable(subject: str, error: duckdb.Error) -> StoreUnavailable:
    """What keeps DuckDB from serving now, as far as its words tell it: it has no exceptions of its own for these."""
    text = str(error)
    if holder := _HOLDER.search(text):
        return FileHeld(f"another process holds the file of {subject}: {holder.group(1)}")
    if any(words in text for words in _NO_ROOM):
        return StoreDiskFull(f"the disk of {subject} is full")
    if isinstance(error, duckdb.OutOfMemoryException):
        return MemoryShort(f"DuckDB has no memory left for {subject}")
    return StoreUnavailable(f"DuckDB cannot serve {subject} now: {type(error).__name__}")


@contextlib.contextmanager
def translate_errors(subject: str) -> Iterator[None]:
    """Say in this package's errors what DuckDB says; its own words may hold values, and are left to the cause."""
    try:
        yield
    except SinkError:
        raise
    except (duckdb.FatalException, duckdb.ConnectionException) as error:
        raise StoreNeedsRestart(f"DuckDB gave up on {subject}: {type(error).__name__}") from error
    except (duckdb.IOException, duckdb.SerializationException) as error:
        if isinstance(error, duckdb.SerializationException) or any(words in str(error) for words in _DAMAGE):
            raise DuckdbBroken(f"the file of {subject} is damaged: {type(error).__name__}") from error
        raise unavailable(subject, error) from error
    except _UNAVAILABLE as error:
        if _REFUSED_BY_KERNEL in str(error):
            raise MemoryRefused(f"the kernel refused memory to DuckDB for {subject}") from error
        raise unavailable(subject, error) from error
    except duckdb.Error as error:
        raise MutationRejected(f"DuckDB refused a batch for {subject}: {type(error).__name__}", "duckdb") from error

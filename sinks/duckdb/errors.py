"""Translation of DuckDB's exceptions into errors of this package."""

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
"""DuckDB's messages for a damaged file, which no retry can read. DuckDB has no exception type for this case."""


_HOLDER = re.compile(r"Conflicting lock is held in (.+? \(PID \d+\))")
_REFUSED_BY_KERNEL = "bad allocation"
"""DuckDB's message if an allocation below its own `memory_limit` failed."""
_NO_ROOM = ("No space left on device", "Disk quota exceeded")


class DuckdbBroken(GenerationBroken):
    """A file of the DuckDB model is damaged or missing."""

    remedy = (
        "Run `readmodels replay duckdb --execute`: it builds a new generation from the log and shows it to readers."
    )


class StoreDiskFull(StoreUnavailable):
    """The disk with DuckDB's files is full."""

    remedy = "Free space on the disk that `duckdb.directory` names; the worker retries automatically."


class MemoryShort(StoreUnavailable):
    """DuckDB has no memory for a batch: it reached its own limit, or the process reached its bound."""

    remedy = "The worker retries. If that does not succeed, raise `duckdb.memory_limit` and restart the worker."


class FileHeld(StoreUnavailable):
    """Another process has locked a DuckDB file."""

    remedy = "End the process that the message names; the worker resumes automatically."


def unavailable(subject: str, error: duckdb.Error) -> StoreUnavailable:
    """Return the error for a DuckDB failure that may pass.

    The message decides, because DuckDB has no exception types for these cases.
    """
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
    """Translate DuckDB's exceptions. Its messages may contain values, so they appear only in the cause."""
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

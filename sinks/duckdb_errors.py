"""DuckDB's errors in this package's words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import duckdb

from sinks.errors import MutationRejected, SinkError, StoreBroken, StoreUnavailable

_UNAVAILABLE = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException)


@contextlib.contextmanager
def translated(subject: str) -> Iterator[None]:
    """Say in this package's errors what DuckDB says; its own words may hold values, and are left to the cause."""
    try:
        yield
    except SinkError:
        raise
    except duckdb.FatalException as error:
        raise StoreBroken(f"DuckDB gave up on {subject}: {type(error).__name__}") from error
    except _UNAVAILABLE as error:
        raise StoreUnavailable(f"DuckDB cannot serve {subject} now: {type(error).__name__}") from error
    except duckdb.Error as error:
        raise MutationRejected(f"DuckDB refused a batch for {subject}: {type(error).__name__}") from error

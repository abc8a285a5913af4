"""Copies of the live tables that DuckDB's worker publishes while it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from pipeline.config import Settings
from sinks.duckdb.analytics_views import shipped_views
from sinks.duckdb.removal import record_copy
from sinks.duckdb.serving import PublishedCopy
from sinks.duckdb.store import DuckdbStore
from sinks.errors import SinkError

log = structlog.get_logger()

ENDS_WITHIN_S = 20.0
"""Time that an ending worker waits for a copy in progress."""


@contextmanager
def publishing(store: DuckdbStore, settings: Settings) -> Iterator[None]:
    """Publish copies while the block runs, if they are configured."""
    if not settings.duckdb.copy_to:
        yield
        return
    record_copy(settings.duckdb.directory, Path(settings.duckdb.copy_to))
    copies = PublishedCopy(
        Path(settings.duckdb.copy_to),
        list(settings.tables),
        settings.duckdb.copy_every_s,
        shipped_views(settings.duckdb.time_zone),
        int(settings.duckdb.copy_mode, base=8),
    )
    stop = threading.Event()
    thread = threading.Thread(target=_publish, args=(copies, store, stop), name="copies", daemon=True)
    thread.start()
    try:
        yield
    finally:
        # Wait for the thread: it would open the store again, and DuckDB aborts a process that ends meanwhile.
        stop.set()
        thread.join(ENDS_WITHIN_S)


def _publish(copies: PublishedCopy, store: DuckdbStore, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            copies.publish_if_due(store.instance())
        except SinkError as error:
            log.warning("published copy failed", reason=str(error), remedy=error.remedy)
        stop.wait(0.5)

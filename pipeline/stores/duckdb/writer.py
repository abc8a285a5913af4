"""Process that has DuckDB's files open: it writes them, and serves readers and processes that write."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import structlog

from pipeline.config import DuckdbSettings, Settings
from pipeline.memory_limit import MemoryLimit, data_bytes
from pipeline.stores.duckdb.published_copy import publishing
from sinks.duckdb.remote.server import WriterServer
from sinks.duckdb.serving import ServingSettings, files_of, memory_bytes, serve
from sinks.duckdb.store import DuckdbStore, WriterLockHeld

log = structlog.get_logger()

STANDS_BY_EVERY_S = 0.2
"""Interval at which a standby process checks whether the writer lock is free."""


class DuckdbWriter:
    """DuckDB store in the process that writes it."""

    def __init__(self, store: DuckdbStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    @property
    def store(self) -> DuckdbStore:
        return self._store

    def lock(self) -> None:
        self._store.open()

    @contextmanager
    def serving(self, stop: threading.Event) -> Iterator[None]:
        with (
            WriterServer(self._settings.duckdb.directory, self._store).serve_in_background(),
            publishing(self._store, self._settings),
            self._readers_served(stop),
        ):
            yield

    def write_for_others(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._store.mend()
            except WriterLockHeld:
                stop.wait(STANDS_BY_EVERY_S)
            else:
                log.info("writer started")
                with self.serving(stop):
                    stop.wait()

    @contextmanager
    def _readers_served(self, stop: threading.Event) -> Iterator[None]:
        duckdb = self._settings.duckdb
        if not duckdb.serve:
            yield
            return
        instance = self._store.instance()
        with closing(serve(instance, _serving_settings(duckdb))):
            # Measure after the server has started its threads: their stacks count, although readers never fill them.
            taken_bytes = data_bytes()
            bound = MemoryLimit(taken_bytes + sum(memory_bytes(instance, duckdb.memory_headroom)))
            bound.apply()
            bound.follow(stop)
            log.info("serving readers", address=duckdb.serve)
            yield


def _serving_settings(duckdb: DuckdbSettings) -> ServingSettings:
    files = files_of(duckdb.directory, duckdb.copy_to)
    return ServingSettings(duckdb.serve, duckdb.token, files, duckdb.bounds, duckdb.serve_insecure)

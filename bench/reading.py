"""Readers of DuckDB, each in a separate process."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event

import duckdb

from sinks.duckdb.serving import load_extensions

TICK_S = 1.0
TOKEN = "token of the benchmark"
DASHBOARD = ("FROM orders_by_status", "FROM revenue_per_day", "FROM top_skus")
SLOW = "slow"
COPY = "copy"


@dataclass
class Reading:
    """Figures of one reader: the seconds of each query, and errors."""

    name: str
    answers_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Addresses of DuckDB for readers."""

    address: str
    copy: str


@contextmanager
def readers(place: Place, found: list[Reading]) -> Iterator[Event]:
    """Start readers that read while the yielded event is set, and collect their figures at the end."""
    context = multiprocessing.get_context("spawn")
    reading, ended, told = context.Event(), context.Event(), context.Queue()
    names = [*DASHBOARD, SLOW, COPY]
    # Wait until all readers have started before the measurement begins.
    started = context.Barrier(len(names) + 1)
    processes = [
        context.Process(target=_read, args=(name, place, started, reading, ended, told), daemon=True) for name in names
    ]
    for process in processes:
        process.start()
    started.wait()
    try:
        yield reading
    finally:
        reading.set()
        ended.set()
        found += sorted((told.get(timeout=60) for _ in names), key=lambda one: names.index(one.name))
        for process in processes:
            process.join()


def _read(name: str, place: Place, started: Barrier, reading: Event, ended: Event, told: Queue[Reading]) -> None:
    """Run one reader in its process."""
    met = Reading(name)
    with duckdb.connect() as connection:
        load_extensions(connection)
        started.wait()
        while not ended.is_set():
            if not reading.wait(0.1):
                continue
            began = time.perf_counter()
            try:
                _ask(name, connection, place, ended)
                met.answers_s.append(time.perf_counter() - began)
            except duckdb.Error as error:
                met.errors.append(f"{type(error).__name__}: {error}")
            if name != SLOW:
                ended.wait(max(0.0, TICK_S - (time.perf_counter() - began)))
    told.put(met)


def _ask(name: str, connection: duckdb.DuckDBPyConnection, place: Place, ended: Event) -> None:
    if name == COPY:
        with duckdb.connect(place.copy, read_only=True) as copy:
            copy.execute("FROM revenue_per_day").fetchall()
        return
    query = "FROM orders" if name == SLOW else name
    answer = connection.execute("FROM quack_query(?, ?, token := ?)", [place.address, query, TOKEN])
    if name != SLOW:
        answer.fetchall()
        return
    while answer.fetchmany(2_048) and not ended.is_set():
        time.sleep(0.1)

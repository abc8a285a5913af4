"""Tests of DuckDB's readers under load: they meet no error, and no answer is older than its reported position."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import psycopg

from pipeline.query.query import query_with_position, run_query
from pipeline.stores.duckdb.read_model import open_duckdb
from sinks.duckdb.progress_query import ReadPosition
from sinks.duckdb.store import catalog_name
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.shop import place
from tests.support.waiting import wait_for

ANSWERS = 12
READERS = 3
TICK_S = 0.2


@dataclass(frozen=True)
class Answered:
    """The contents and reported position of one answer through the worker: versions by table and partition."""

    at: float
    total: int
    held: dict[tuple[str, int], int]
    newest: datetime
    place: ReadPosition | None


@dataclass(frozen=True)
class Opened:
    """The contents of a published copy: the probe's total, and the time of its publication."""

    published_at: float
    total: int


@contextmanager
def repeated(*acts: Callable[[], object]) -> Iterator[list[str]]:
    """Repeat each act on its own thread while the block runs; yield the errors."""
    until, errors = threading.Event(), list[str]()

    def go_on(act: Callable[[], object]) -> None:
        while not until.wait(TICK_S):
            try:
                act()
            except Exception as error:  # noqa: BLE001 - what a reader meets is what the test is about
                errors.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=go_on, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield errors
    finally:
        until.set()
        for thread in threads:
            thread.join()


def question(pipeline: Pipeline, probe: int) -> str:
    """Return a query for the contents of the live generation and the probe's total, as of one moment."""
    versions = " UNION ALL ".join(
        f"SELECT '{table}' AS name, _partition AS partition, count(*) AS held, max(_committed_at) AS newest"
        f" FROM {live(pipeline)}.versions.{table} GROUP BY ALL"
        for table in pipeline.settings.tables
    )
    return f"{versions} UNION ALL SELECT 'probe', 0, CAST(total AS BIGINT), NULL FROM orders WHERE id = {probe}"


def live(pipeline: Pipeline) -> str:
    generation = open_duckdb(pipeline.settings).live()
    assert generation is not None
    return catalog_name(generation)


def answered(pipeline: Pipeline, query: str) -> Answered:
    found = query_with_position(pipeline.settings, query)
    rows = {(row["name"], row["partition"]): row for row in found.rows.to_pylist()}
    probed = rows.pop(("probe", 0))
    newest = max(row["newest"] for row in rows.values())
    held = {topic_partition: row["held"] for topic_partition, row in rows.items()}
    return Answered(time.time(), probed["held"], held, newest, found.place)


def opened(copy: Path, probe: int) -> Opened:
    published_at = copy.stat().st_mtime
    with duckdb.connect(str(copy), read_only=True) as connection:
        [(total,)] = connection.execute(f"SELECT CAST(total AS BIGINT) FROM orders WHERE id = {probe}").fetchall()
        connection.execute("FROM revenue_per_day").fetchall()
    return Opened(published_at, total)


def offsets(pipeline: Pipeline) -> dict[tuple[str, int], npt.NDArray[np.int64]]:
    """Return the ascending offsets of all versions in the model, by table and partition."""
    found: dict[tuple[str, int], npt.NDArray[np.int64]] = {}
    for table in pipeline.settings.tables:
        rows = run_query(pipeline.settings, f"SELECT _partition, _offset FROM {live(pipeline)}.versions.{table}")
        partitions, places = rows["_partition"].to_numpy(), rows["_offset"].to_numpy()
        found |= {
            (table, partition): np.sort(places[partitions == partition]) for partition in np.unique(partitions).tolist()
        }
    return found


def is_as_new_as_said(one: Answered, topics: dict[str, str], known: dict[Any, npt.NDArray[np.int64]]) -> bool:
    """Return whether an answer holds every version below its reported offsets, and the newest commit."""
    assert one.place is not None
    said = {(topics[topic], partition): offset for (topic, partition), offset in one.place.offsets.items()}
    below = {
        topic_partition: int(np.searchsorted(known[topic_partition], offset))
        for topic_partition, offset in said.items()
        if topic_partition in known
    }
    assert one.place.newest is not None
    return (
        all(one.held.get(topic_partition, 0) >= count for topic_partition, count in below.items())
        and one.newest >= one.place.newest
    )


def test_no_result_is_older_than_its_printed_freshness(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id)
    pipeline.settle("duckdb")
    copy = Path(pipeline.endpoints.duckdb_copy)
    wait_for(partial(is_readable, copy, order_id), 180, lambda: "the copy does not have the probe")
    query = question(pipeline, order_id)
    answers: list[Answered] = []
    copies: list[Opened] = []
    with psycopg.connect(pipeline.endpoints.postgres, autocommit=True) as source:
        acts: list[Callable[[], object]] = [
            lambda: source.execute("UPDATE orders SET total = total + 1 WHERE id = %s", [order_id]),
            lambda: copies.append(opened(copy, order_id)),
            *[lambda: answers.append(answered(pipeline, query))] * READERS,
        ]
        with pipeline.load(orders_per_s=80), repeated(*acts) as errors:
            wait_for(lambda: bool(errors) or has_enough(answers, copies), 300, lambda: f"{len(answers)} answers")
    assert errors == []
    pipeline.settle("duckdb")

    topics, known = dict(pipeline.settings.definitions.topics), offsets(pipeline)
    assert [one for one in placed(answers) if not is_as_new_as_said(one, topics, known)] == []
    for reader in (answers, copies):
        assert reader[0].total < reader[-1].total
    for earlier, later in pairwise(copies):
        assert earlier.total <= later.total
        if earlier.published_at < later.published_at:
            # A copy is begun only after the previous one has been published.
            seen = [one.total for one in answers if one.at < earlier.published_at]
            assert max(seen, default=0) <= later.total


def placed(answers: list[Answered]) -> list[Answered]:
    """Return the answers whose position in the log is known."""
    return [one for one in answers if one.place is not None]


def has_enough(answers: list[Answered], copies: list[Opened]) -> bool:
    """Return whether both kinds of reader saw the probe change, and one copy replaced another."""
    return (
        len(placed(answers)) >= ANSWERS
        and all(reader and reader[0].total < reader[-1].total for reader in (answers, copies))
        and len({one.published_at for one in copies}) > 2
    )


def is_readable(copy: Path, probe: int) -> bool:
    try:
        return opened(copy, probe).total >= 0
    except (duckdb.Error, FileNotFoundError, ValueError):
        return False

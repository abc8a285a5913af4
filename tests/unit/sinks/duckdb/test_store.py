"""Tests of the files of the DuckDB model: exclusive writing, state after a crash, and the readers' view."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from sinks.batch import OffsetRange, Progress
from sinks.duckdb.store import DuckdbStore, WriterLockHeld, catalog_name
from sinks.errors import GenerationInUse, GenerationMissing, OffsetGap, StoreUnavailable
from sinks.shape import RowShape
from tests.support.checkout import CHECKOUT
from tests.unit.sinks.ordering.row_changes import batch, deleted, model, streamed

ORDERS = RowShape("orders", ("id",), {"id": "bigint", "status": "text"})
TOPIC_PARTITION = ("orders", 0)
ROWS = 5_000
HOLD = """
import sys
from pathlib import Path
from sinks.duckdb.store import DuckdbStore
store = DuckdbStore(Path(sys.argv[1]), [])
store.open()
print("open", flush=True)
sys.stdin.read()
"""
OPEN = """
import sys, duckdb
held = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def process(program: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a Python process that works on a path, and kill it at the end."""
    command = [sys.executable, "-c", program, str(path)]
    started = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with started:
        try:
            yield started
        finally:
            started.kill()


def line(started: subprocess.Popen[str]) -> str:
    """Return the next line of its output."""
    assert started.stdout is not None
    return started.stdout.readline()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    with closing(DuckdbStore(tmp_path / "duckdb", [ORDERS])) as opened:
        yield opened


def test_a_second_writer_waits_and_names_the_first(store: DuckdbStore, tmp_path: Path) -> None:
    with process(HOLD, tmp_path / "duckdb") as holder:
        assert line(holder) == "open\n"
        with pytest.raises(WriterLockHeld, match=f"process {holder.pid} writes"):
            store.open()
        with pytest.raises(WriterLockHeld):
            store.sink(1).prepare()
        holder.kill()
        holder.wait()
        store.open()
    assert (tmp_path / "duckdb" / "writer.lock").read_text() == str(os.getpid())


def test_a_closed_store_lets_the_next_writer_in(store: DuckdbStore, tmp_path: Path) -> None:
    store.open()
    store.close()
    store.close()
    with process(HOLD, tmp_path / "duckdb") as holder:
        assert line(holder) == "open\n"


def test_which_generation_is_live_is_known_without_opening_anything(store: DuckdbStore, tmp_path: Path) -> None:
    assert (store.live(), tuple(store.generations())) == (None, ())
    for generation in (1, 2):
        store.sink(generation).prepare()
    store.sink(1).cutover()
    other = DuckdbStore(tmp_path / "duckdb", [ORDERS])
    assert (other.live(), tuple(other.generations())) == (1, (1, 2))


def test_rows_and_progress_are_there_after_opening_again(tmp_path: Path) -> None:
    with model(tmp_path, ORDERS) as orders:
        orders.write(streamed((10, 11), 4, id=1, status="paid"))
    with closing(DuckdbStore(tmp_path, [ORDERS])) as store:
        store.open()
        assert store.instance().execute("FROM orders").fetchall() == [(1, "paid")]
        assert store.sink(1).progress() == Progress({TOPIC_PARTITION: 5})


def test_repeated_records_need_no_space(tmp_path: Path) -> None:
    with model(tmp_path, ORDERS) as orders:

        def emit(begin: int) -> int:
            """Write every row once, at offsets from `begin` on; return the size of the files afterwards."""
            orders.write(*(streamed((10, id_), begin + id_, id=id_, status=f"{id_:060}") for id_ in range(ROWS)))
            return orders.store.size_bytes(1)

        once = emit(0)
        assert max(emit(ROWS * again) for again in range(1, 20)) < 1.5 * once
        assert orders.ask("SELECT count(*) FROM orders_history") == [(ROWS,)]


def test_a_generation_that_is_not_there_is_missing_and_not_made(store: DuckdbStore) -> None:
    with pytest.raises(GenerationMissing):
        store.sink(3).progress()
    with pytest.raises(GenerationMissing):
        store.sink(3).cutover()
    assert tuple(store.generations()) == ()


def test_the_live_generation_cannot_be_dropped_and_others_can(store: DuckdbStore) -> None:
    for generation in (1, 2):
        store.sink(generation).prepare()
    store.sink(2).cutover()
    with pytest.raises(GenerationInUse):
        store.drop(2)
    store.drop(1)
    store.drop(1)
    assert tuple(store.generations()) == (2,)


def test_clearing_removes_every_generation_and_the_names_of_the_readers(store: DuckdbStore, tmp_path: Path) -> None:
    for generation in (1, 2):
        store.sink(generation).prepare()
    store.sink(2).cutover()
    store.drop_all()
    assert (store.live(), tuple(store.generations())) == (None, ())
    with pytest.raises(duckdb.CatalogException):
        store.instance().execute("FROM orders")
    store.sink(1).prepare()
    store.sink(1).cutover()
    assert store.instance().execute("FROM orders").fetchall() == []


def test_readers_follow_a_cutover_and_never_see_half_of_one(store: DuckdbStore) -> None:
    for generation in (1, 2):
        sink = store.sink(generation)
        sink.prepare()
        sink.write(batch(ORDERS, [streamed((10, 11), id=generation, status="paid")]))
    store.sink(1).cutover()
    seen: set[object] = set()
    is_over = threading.Event()
    reader = store.instance().cursor()

    def read() -> None:
        while not is_over.is_set():
            seen.add(
                tuple(reader.execute("SELECT (SELECT id FROM orders), (SELECT id FROM orders_history)").fetchall())
            )

    reading = threading.Thread(target=read)
    reading.start()
    for turn in range(20):
        store.sink(turn % 2 + 1).cutover()
    while len(seen) < 2 and reading.is_alive():
        store.sink(1).cutover()
        store.sink(2).cutover()
    is_over.set()
    reading.join()
    assert seen == {((1, 1),), ((2, 2),)}


def test_a_file_restored_from_an_older_copy_reports_its_own_progress(tmp_path: Path) -> None:
    file, copy = tmp_path / "000001.duckdb", tmp_path / "older"
    with model(tmp_path, ORDERS) as orders:
        orders.write(streamed((10, 11), 4, id=1, status="paid"))
    shutil.copy(file, copy)
    with model(tmp_path, ORDERS) as orders:
        orders.write(streamed((20, 21), 9, id=1, status="shipped"), deleted((20, 22), 10, id=2))
        assert orders.store.sink(1).progress().next_offset(TOPIC_PARTITION) == 11
    shutil.copy(copy, file)
    with model(tmp_path, ORDERS) as orders:
        assert orders.store.sink(1).progress().next_offset(TOPIC_PARTITION) == 5
        next_one = batch(ORDERS, [streamed((30, 31), 12, id=1, status="cancelled")])
        beyond = replace(next_one, span=OffsetRange({TOPIC_PARTITION: 11}, {TOPIC_PARTITION: 13}))
        with pytest.raises(OffsetGap) as lost:
            orders.store.sink(1).write(beyond)
        assert lost.value.stored == {TOPIC_PARTITION: 5}
        orders.write(streamed((20, 21), 9, id=1, status="shipped"), deleted((20, 22), 10, id=2))
        assert orders.ask("FROM orders") == [(1, "shipped")]
        assert len(orders.versions("id")) == 3


def write_until_killed(directory: Path, said: Connection) -> None:
    """Write row after row, and report the position after each batch."""
    with model(directory, ORDERS) as orders:
        at = orders.store.sink(1).progress().next_offset(TOPIC_PARTITION)
        while True:
            said.send(at)
            orders.write(*(streamed((n, n), n, id=n % 50, status=str(n)) for n in range(at, at + 20)))
            at += 20


def test_a_writer_that_is_killed_at_any_time_leaves_consistent_rows_and_progress(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    written = 0
    for turn in range(20):
        heard, said = processes.Pipe(duplex=False)
        writer = processes.Process(target=write_until_killed, args=(tmp_path, said), daemon=True)
        writer.start()
        assert heard.recv() == written
        for _ in range(turn % 4 + 1):
            heard.recv()
        writer.kill()
        writer.join()
        written = progress_that_agrees_with_rows(tmp_path, at_least=written + 20)


def progress_that_agrees_with_rows(directory: Path, at_least: int) -> int:
    with closing(DuckdbStore(directory, [ORDERS])) as store:
        offset = store.sink(1).progress().next_offset(TOPIC_PARTITION)
        assert offset >= at_least
        reader = store.instance()
        counted = f"SELECT count(*), max(_offset) FROM {catalog_name(1)}.versions.orders"
        assert reader.execute(counted).fetchall() == [(offset, offset - 1)]
        shown = reader.execute("SELECT id, status FROM orders ORDER BY id").fetchall()
    last = {number % 50: number for number in range(offset)}
    assert shown == [(key, str(last[key])) for key in sorted(last)]
    return offset


def test_a_live_file_that_cannot_be_opened_yet_is_shown_once_it_can(tmp_path: Path) -> None:
    with model(tmp_path, ORDERS) as orders:
        orders.write(streamed((10, 11), 4, id=1, status="paid"))
    with closing(DuckdbStore(tmp_path, [ORDERS])) as store:
        with process(OPEN, tmp_path / "000001.duckdb") as other:
            assert line(other) == "open\n"
            with pytest.raises(StoreUnavailable):
                store.open()
        store.open()
        assert store.instance().execute("FROM orders").fetchall() == [(1, "paid")]


def test_a_query_finds_no_variable_of_the_program(store: DuckdbStore) -> None:
    rows = pa.table({"id": [1]})
    assert rows.num_rows == 1
    with pytest.raises(duckdb.CatalogException):
        store.instance().execute("FROM rows")

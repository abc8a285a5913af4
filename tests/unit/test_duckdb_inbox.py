"""What other processes ask of the one that holds DuckDB's files; the contract proves that it acts as the store does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.batch import Batch, Span
from sinks.duckdb_elsewhere import DuckdbElsewhere
from sinks.duckdb_inbox import FOLDER, Inbox, NoWriter, is_held
from sinks.duckdb_request import Reply, Request, Verb
from sinks.duckdb_store import DuckdbStore, WriterElsewhere
from sinks.errors import GenerationInUse, GenerationMissing, ProgressLost, SinkError
from sinks.generation import Record
from sinks.shape import RowShape

SHAPES = [RowShape("orders", ("id",), {"id": "bigint"})]
SHARD = ("cdc.public.orders", 0)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[DuckdbStore]:
    store = DuckdbStore(tmp_path, SHAPES)
    store.open()
    yield store
    store.close()


def test_nobody_is_asked_where_nobody_holds_the_files(tmp_path: Path) -> None:
    with pytest.raises(NoWriter):
        DuckdbElsewhere(tmp_path).sink(1).progress()
    assert not (tmp_path / FOLDER).exists()


def test_the_files_are_held_for_as_long_as_the_store_is_open(holder: DuckdbStore, tmp_path: Path) -> None:
    assert is_held(tmp_path)
    with pytest.raises(WriterElsewhere):
        DuckdbStore(tmp_path, SHAPES).open()
    holder.close()
    assert not is_held(tmp_path)


def test_whoever_waits_hears_that_the_writer_has_ended(holder: DuckdbStore, tmp_path: Path) -> None:
    Inbox(tmp_path, holder)
    ending = threading.Timer(0.3, holder.close)
    ending.start()
    with pytest.raises(NoWriter):
        DuckdbElsewhere(tmp_path).sink(1).progress()
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_writer_that_takes_over_does_not_act_on_what_its_predecessor_was_asked(
    holder: DuckdbStore, tmp_path: Path
) -> None:
    (tmp_path / FOLDER).mkdir()
    Request(Verb.CREATE, 7, Record()).write(tmp_path / FOLDER / "stale.request")
    inbox = Inbox(tmp_path, holder)
    assert inbox.answer() == 0
    assert holder.generations() == {}


def test_an_error_comes_back_as_what_it_was(holder: DuckdbStore, tmp_path: Path) -> None:
    until = threading.Event()
    Inbox(tmp_path, holder).follow(until)
    elsewhere = DuckdbElsewhere(tmp_path)
    with pytest.raises(GenerationMissing, match="generation 3"):
        elsewhere.sink(3).progress()
    elsewhere.create(1, Record())
    elsewhere.sink(1).cutover()
    with pytest.raises(GenerationInUse):
        elsewhere.drop(1)
    with pytest.raises(ProgressLost) as lost:
        elsewhere.sink(1).write(Batch(span=Span({SHARD: 5}, {SHARD: 9})))
    assert lost.value.stored == {SHARD: 0}
    until.set()


def test_a_request_that_nobody_can_read_is_answered_and_silences_no_other(holder: DuckdbStore, tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, holder)
    foreign = tmp_path / FOLDER / "0.request"
    foreign.write_bytes(b"not a request of ours")
    assert inbox.answer() == 1
    with pytest.raises(SinkError, match="could not do it"):
        raise Reply.read(foreign.with_suffix(".reply")).error or AssertionError("no error")
    until = threading.Event()
    inbox.follow(until)
    DuckdbElsewhere(tmp_path).create(1, Record())
    assert list(holder.generations()) == [1]
    until.set()


def test_a_live_name_of_a_table_that_the_new_generation_lacks_is_gone(holder: DuckdbStore) -> None:
    more = [*SHAPES, RowShape("customers", ("id",), {"id": "bigint"})]
    holder.create(1, Record(shapes=tuple(more)))
    holder.sink(1).cutover()
    assert holder.instance().execute("SELECT count(*) FROM customers").fetchall() == [(0,)]
    holder.create(2, Record(shapes=tuple(SHAPES)))
    holder.sink(2).cutover()
    names = holder.instance().execute("SELECT table_name FROM information_schema.tables WHERE table_catalog = 'memory'")
    assert {name for (name,) in names.fetchall()} == {"orders", "orders_history"}
    holder.sink(1).cutover()
    assert holder.instance().execute("SELECT count(*) FROM customers").fetchall() == [(0,)]

"""Tests of requests to the process that has DuckDB's files open; the contract suite checks their effects."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sinks.batch import Batch, OffsetRange, Progress
from sinks.duckdb.remote.client import RemoteDuckdbStore
from sinks.duckdb.remote.messages import MalformedRequest, Operation, Reply, Request
from sinks.duckdb.remote.server import FOLDER, WriterNotRunning, WriterServer, call_writer, is_writer_running
from sinks.duckdb.store import DuckdbStore, WriterLockHeld
from sinks.errors import GenerationBroken, GenerationInUse, GenerationMissing, OffsetGap, SinkError
from sinks.generation import GenerationMetadata
from sinks.shape import RowShape
from tests.support.waiting import wait_for

SHAPES = [RowShape("orders", ("id",), {"id": "bigint"})]
TOPIC_PARTITION = ("cdc.public.orders", 0)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[DuckdbStore]:
    store = DuckdbStore(tmp_path, SHAPES)
    store.open()
    yield store
    store.close()


QUESTION = Request(Operation.PROGRESS, 1)


def test_no_request_is_sent_if_no_process_holds_the_files(tmp_path: Path) -> None:
    with pytest.raises(WriterNotRunning):
        call_writer(tmp_path, QUESTION, taken_over_within_s=0)
    assert not (tmp_path / FOLDER).exists()


def test_the_files_are_held_for_as_long_as_the_store_is_open(holder: DuckdbStore, tmp_path: Path) -> None:
    assert is_writer_running(tmp_path)
    with pytest.raises(WriterLockHeld):
        DuckdbStore(tmp_path, SHAPES).open()
    holder.close()
    assert not is_writer_running(tmp_path)


def test_a_waiting_client_learns_that_the_writer_has_ended(holder: DuckdbStore, tmp_path: Path) -> None:
    WriterServer(tmp_path, holder)
    ending = threading.Timer(0.3, holder.close)
    ending.start()
    with pytest.raises(WriterNotRunning):
        call_writer(tmp_path, QUESTION, taken_over_within_s=0)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_process_that_takes_over_answers_the_requests_of_its_predecessor(holder: DuckdbStore, tmp_path: Path) -> None:
    holder.create(1, GenerationMetadata())
    WriterServer(tmp_path, holder)
    with ThreadPoolExecutor(1) as asking:
        answer = asking.submit(call_writer, tmp_path, QUESTION)
        wait_for(lambda: list((tmp_path / FOLDER).glob("*.request")), 10, lambda: "nothing was asked")
        holder.close()
        holder.open()
        with WriterServer(tmp_path, holder).serve_in_background():
            assert answer.result(10) == Progress()


def test_a_writer_that_takes_over_does_not_execute_requests_of_its_predecessor(
    holder: DuckdbStore, tmp_path: Path
) -> None:
    (tmp_path / FOLDER).mkdir()
    Request(Operation.CREATE, 7, GenerationMetadata()).write(tmp_path / FOLDER / "stale.request")
    inbox = WriterServer(tmp_path, holder)
    assert inbox.handle_pending() == 0
    assert holder.generations() == {}


def test_an_error_is_returned_with_its_type(holder: DuckdbStore, tmp_path: Path) -> None:
    elsewhere = RemoteDuckdbStore(tmp_path)
    with WriterServer(tmp_path, holder).serve_in_background():
        with pytest.raises(GenerationMissing, match="generation 3"):
            elsewhere.sink(3).progress()
        elsewhere.create(1, GenerationMetadata())
        elsewhere.sink(1).cutover()
        with pytest.raises(GenerationInUse):
            elsewhere.drop(1)
        with pytest.raises(OffsetGap) as lost:
            elsewhere.sink(1).write(Batch(span=OffsetRange({TOPIC_PARTITION: 5}, {TOPIC_PARTITION: 9})))
        assert lost.value.stored == {TOPIC_PARTITION: 0}
        holder.path(1).unlink()
        with pytest.raises(GenerationBroken) as broken:
            elsewhere.sink(1).progress()
        assert "readmodels replay duckdb --execute" in broken.value.remedy


def test_a_malformed_request_is_answered_and_blocks_no_other(holder: DuckdbStore, tmp_path: Path) -> None:
    inbox = WriterServer(tmp_path, holder)
    foreign = tmp_path / FOLDER / "0.request"
    foreign.write_bytes(b"not a request of ours")
    assert inbox.handle_pending() == 1
    with pytest.raises(SinkError, match="its head should have"):
        raise Reply.read(foreign.with_suffix(".reply")).error or AssertionError("no error")
    with inbox.serve_in_background():
        RemoteDuckdbStore(tmp_path).create(1, GenerationMetadata())
    assert list(holder.generations()) == [1]


def test_a_live_name_of_a_table_that_the_new_generation_lacks_is_gone(holder: DuckdbStore) -> None:
    more = [*SHAPES, RowShape("customers", ("id",), {"id": "bigint"})]
    holder.create(1, GenerationMetadata(shapes=tuple(more)))
    holder.sink(1).cutover()
    assert holder.instance().execute("SELECT count(*) FROM customers").fetchall() == [(0,)]
    holder.create(2, GenerationMetadata(shapes=tuple(SHAPES)))
    holder.sink(2).cutover()
    names = holder.instance().execute("SELECT table_name FROM information_schema.tables WHERE table_catalog = 'memory'")
    assert {name for (name,) in names.fetchall()} == {"orders", "orders_history"}
    holder.sink(1).cutover()
    assert holder.instance().execute("SELECT count(*) FROM customers").fetchall() == [(0,)]


def in_one_file(head: dict[str, object]) -> bytes:
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "big") + text


HEAD = {
    "verb": "drop",
    "generation": 1,
    "record": GenerationMetadata().to_json(),
    "fences": [],
    "begin": [],
    "end": [],
    "targets": [],
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"generation": "../victim"},
        {"generation": "1"},
        {"generation": -1},
        {"generation": 1.5},
        {"generation": True},
        {"generation": 10**30},
        {"generation": None},
        {"verb": "open"},
        {"verb": ["drop"]},
        {"record": {}},
        {"begin": [["topic", "0", 1]]},
        {"end": [["topic", 0, -1]]},
        {"targets": "orders"},
        {"fences": [1]},
        {"other": 1},
    ],
)
def test_a_request_of_the_wrong_type_is_not_carried_out(
    holder: DuckdbStore, tmp_path: Path, wrong: dict[str, object]
) -> None:
    victim = tmp_path.parent / f"{tmp_path.name}_victim.duckdb"
    victim.write_text("of another program")
    wrong = {name: f"../{victim.stem}" if value == "../victim" else value for name, value in wrong.items()}
    inbox = WriterServer(tmp_path, holder)
    (tmp_path / FOLDER / "one.request").write_bytes(in_one_file({**HEAD, **wrong}))
    inbox.handle_pending()
    answer = Reply.read(tmp_path / FOLDER / "one.reply")
    assert "malformed" in str(answer.error)
    assert victim.read_text() == "of another program"


def test_a_head_that_is_longer_than_its_file_is_not_read(holder: DuckdbStore, tmp_path: Path) -> None:
    (tmp_path / "one.request").write_bytes((10**12).to_bytes(8, "big"))
    with pytest.raises(MalformedRequest, match="1000000000000"):
        Request.read(tmp_path / "one.request")


def test_a_folder_among_the_requests_hinders_neither_the_start_nor_the_others(
    holder: DuckdbStore, tmp_path: Path
) -> None:
    (tmp_path / FOLDER / "folder.request").mkdir(parents=True)
    inbox = WriterServer(tmp_path, holder)
    Request(Operation.CREATE, 1, GenerationMetadata()).write(tmp_path / FOLDER / "one.request")
    assert inbox.handle_pending() == 1
    assert list(holder.generations()) == [1]


def test_requests_and_replies_belong_to_their_owner_alone(holder: DuckdbStore, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(mode=0o755)
    inbox = WriterServer(tmp_path, holder)
    request = tmp_path / FOLDER / "one.request"
    Request(Operation.CREATE, 1, GenerationMetadata()).write(request)
    modes = [request.stat().st_mode]
    inbox.handle_pending()
    modes += [(tmp_path / FOLDER / "one.reply").stat().st_mode, (tmp_path / FOLDER).stat().st_mode]
    assert [mode & 0o777 for mode in modes] == [0o600, 0o600, 0o700]

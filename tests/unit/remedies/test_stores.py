"""Tests of the remedies of the stores that need no server, carried out verbatim: problem, printed text, solution."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from pipeline.config import DuckdbSettings, load
from pipeline.generations.builders import BuilderFailed, running_builders
from pipeline.ingest.retry import RecoveryAction, Retrier, action_for
from pipeline.teardown.found import Area
from pipeline.teardown.models import find_duckdb
from pipeline.teardown.traces import of_record
from sinks.duckdb import removal
from sinks.duckdb.errors import FileHeld, MemoryShort, StoreDiskFull, translate_errors
from sinks.duckdb.remote.client import RemoteDuckdbStore
from sinks.duckdb.remote.messages import Operation, Request
from sinks.duckdb.remote.server import WriterNotRunning, WriterServer, call_writer
from sinks.duckdb.removal import DirectoryInUse
from sinks.duckdb.serving import ReadersRefused, ServingSettings, files_of, serve
from sinks.duckdb.store import DuckdbStore, WriterLockHeld
from sinks.elasticsearch.mapping import IndexSettings, InvalidMapping, index_body
from sinks.errors import GenerationInUse, MutationRejected, StoreNeedsRestart
from sinks.generation import GenerationMetadata
from sinks.shape import DocumentShape, RowShape
from tests.remedies.commands import commands, settings
from tests.support.waiting import wait_for
from tests.unit.pipeline.teardown.test_teardown import OURS, record
from tests.unit.sinks.duckdb.quack import TOKEN, free_address
from tests.unit.sinks.duckdb.test_errors import HOLD
from tests.unit.sinks.ordering.row_changes import batch, streamed

ORDERS = RowShape("orders", ("id",), {"id": "bigint", "note": "text"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    with closing(DuckdbStore(tmp_path, [ORDERS])) as made:
        for generation in (1, 2):
            made.create(generation, GenerationMetadata(shapes=(ORDERS,)))
        made.sink(1).cutover()
        yield made


def write(store: DuckdbStore, generation: int = 1, note: str = "") -> None:
    store.sink(generation).write(batch(ORDERS, [streamed((10, 11), 0, id=1, note=note)]))


def rows(store: DuckdbStore) -> list[tuple[object, ...]]:
    return list(store.instance().cursor().execute("SELECT id FROM orders").fetchall())


def test_a_batch_that_duckdb_refuses_is_written_into_the_new_generation_of_a_replay(store: DuckdbStore) -> None:
    with store.connection(1) as connection:
        connection.execute("ALTER TABLE versions.orders RENAME COLUMN note TO another")
    with pytest.raises(MutationRejected) as refused:
        write(store)
    [replay, *_] = commands(refused.value.remedy)
    assert replay == ["replay", "duckdb", "--execute"]
    write(store, 2)
    store.sink(2).cutover()
    assert rows(store) == [(1,)]


def test_a_store_that_needs_a_restart_continues_in_a_new_process(store: DuckdbStore, tmp_path: Path) -> None:
    write(store)
    with pytest.raises(StoreNeedsRestart) as broken, translate_errors("generation 1"):
        raise duckdb.FatalException("database has been invalidated")
    assert broken.value.remedy.startswith("The worker restarts automatically.")
    assert settings(broken.value.remedy) == [("duckdb", "directory")]
    assert action_for(broken.value) is RecoveryAction.RESTART
    store.close()
    with closing(DuckdbStore(tmp_path, [ORDERS])) as again:
        assert rows(again) == [(1,)]


def test_a_generation_in_use_is_removed_after_a_cutover_to_another(store: DuckdbStore) -> None:
    with pytest.raises(GenerationInUse) as refused:
        store.drop(1)
    [cutover, _] = commands(refused.value.remedy)
    assert cutover == ["cutover"]
    store.sink(2).cutover()
    store.drop(1)
    assert list(store.generations()) == [2]


def test_a_directory_is_removed_once_the_worker_that_holds_it_has_ended(
    store: DuckdbStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.open()
    with WriterServer(tmp_path, store).serve_in_background():
        with monkeypatch.context() as impatient:
            impatient.setattr(removal, "_RELEASED_WITHIN_S", 0.0)
            with pytest.raises(DirectoryInUse) as refused:
                removal.remove_files(tmp_path)
        assert refused.value.remedy == "End the worker (`readmodels run`), then repeat the command."
    store.close()
    removal.remove_files(tmp_path)
    assert not tmp_path.exists()


@pytest.mark.usefixtures("described")
def test_files_of_another_deployment_are_left_alone_until_the_directory_is_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {"own": record(OURS), "others": record({"topic cdc.public.orders": "theirs"})}
    for name, one in held.items():
        with closing(DuckdbStore(tmp_path / name, [ORDERS])) as made:
            made.create(1, one)

    def found(directory: Path) -> Area:
        monkeypatch.setenv("READMODELS_DUCKDB__DIRECTORY", str(directory))
        area, _ = find_duckdb(load(Path("readmodels.toml"), {}), of_record(held["own"]), "7")
        return area

    area = found(tmp_path / "others")
    [left] = area.left
    assert (area.found, settings(left.remedy)) == ([], [("duckdb", "directory")])
    assert commands(left.remedy) == [["teardown", "--execute"]]
    corrected = found(tmp_path / "own")
    corrected.carry_out()
    assert (corrected.left, (tmp_path / "own").exists(), (tmp_path / "others").exists()) == ([], False, True)


def test_a_full_disk_takes_the_batch_once_it_has_room(store: DuckdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows, full = DuckdbStore.connection, [True]

    def connection(self: DuckdbStore, generation: int) -> object:
        if full:
            raise duckdb.IOException(f'Could not write file "{self.path(generation)}": No space left on device')
        return write_rows(self, generation)

    monkeypatch.setattr(DuckdbStore, "connection", connection)
    with pytest.raises(StoreDiskFull) as refused:
        write(store)
    assert settings(refused.value.remedy) == [("duckdb", "directory")]
    full.clear()
    write(store)
    assert rows(store) == [(1,)]


def test_a_memory_limit_that_is_too_small_is_raised(tmp_path: Path) -> None:
    def opened(limit: str) -> DuckdbStore:
        return DuckdbStore(tmp_path, [ORDERS], DuckdbSettings(memory_limit=limit).memory_limit)

    with closing(opened("1GB")) as made:
        made.sink(1).prepare()
    with closing(opened("1MB")) as small, pytest.raises(MemoryShort) as refused:
        write(small, note="x" * 30_000_000)
    assert settings(refused.value.remedy) == [("duckdb", "memory_limit")]
    with closing(opened("1GB")) as large:
        write(large, note="x" * 30_000_000)
        large.sink(1).cutover()
        assert rows(large) == [(1,)]


def test_a_held_file_is_opened_once_the_process_that_the_message_names_has_ended(tmp_path: Path) -> None:
    file = tmp_path / "one.duckdb"
    line = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FileHeld) as refused, translate_errors("duckdb"):
            duckdb.connect(file)
        assert refused.value.remedy.startswith("End the process that the message names")
        [named] = re.findall(r"PID (\d+)", str(refused.value))
        assert int(named) == holder.pid
        holder.kill()
    duckdb.connect(file).close()


def test_a_command_that_lacks_the_writer_continues_once_one_runs(store: DuckdbStore, tmp_path: Path) -> None:
    store.close()
    with pytest.raises(WriterNotRunning) as refused:
        call_writer(tmp_path, Request(Operation.PROGRESS, 1), taken_over_within_s=0)
    assert commands(refused.value.remedy) == [["run", "duckdb"]]
    waiting = threading.Thread(
        target=RemoteDuckdbStore(tmp_path).create, args=(3, GenerationMetadata(shapes=(ORDERS,)))
    )
    waiting.start()
    store.open()
    with WriterServer(tmp_path, store).serve_in_background():
        waiting.join()
    assert 3 in store.generations()


def test_a_worker_that_stands_by_takes_over_when_the_other_ends(store: DuckdbStore, tmp_path: Path) -> None:
    store.open()
    with closing(DuckdbStore(tmp_path, [ORDERS])) as other:
        with pytest.raises(WriterLockHeld):
            other.open()
        standing_by = threading.Thread(target=Retrier(threading.Event()), args=("stand by", other.open))
        standing_by.start()
        store.close()
        standing_by.join()
        write(other)
        assert rows(other) == [(1,)]


@pytest.mark.parametrize(
    ("address", "token", "setting"),
    [("", "short", "token"), ("quack:0.0.0.0", TOKEN, "serve_insecure"), ("none", TOKEN, "serve")],
)
def test_readers_are_served_once_the_settings_are_as_the_remedy_has_them(
    store: DuckdbStore, tmp_path: Path, address: str, token: str, setting: str
) -> None:
    right, files = free_address(), files_of(tmp_path)
    with pytest.raises(ReadersRefused) as refused:
        serve(store.instance(), ServingSettings(address or right, token, files))
    assert f"`duckdb.{setting}" in refused.value.remedy
    if setting == "serve_insecure":
        public = right.replace("127.0.0.1", "0.0.0.0")
        served = ServingSettings(public, TOKEN, files, is_insecure=True)
    else:
        [example] = re.findall(r"`(quack:[^`]+)`", refused.value.remedy)
        assert example.rpartition(":")[0] == right.rpartition(":")[0]
        served = ServingSettings(right, TOKEN, files)
    serve(store.instance(), served).close()


def test_a_shape_that_no_index_can_hold_is_renamed_or_removed() -> None:
    with pytest.raises(InvalidMapping) as refused:
        index_body(DocumentShape("orders", {"id": "bigint", "a.b": "text"}), IndexSettings())
    assert "Rename the column in PostgreSQL, or rename the document, or leave the column out" in refused.value.remedy
    index_body(DocumentShape("orders", {"id": "bigint", "a_b": "text"}), IndexSettings())
    index_body(DocumentShape("orders", {"id": "bigint"}), IndexSettings())
    with pytest.raises(InvalidMapping):
        index_body(DocumentShape("readmodels", {"id": "bigint"}, {"readmodels": {"id": "bigint"}}), IndexSettings())


_BUILDER = """
import pathlib, sys
file = pathlib.Path(sys.argv[1])
if not file.exists():
    print("error: there is no", file)
    print("remedy: Create it.", flush=True)
    sys.exit(1)
print("building", flush=True)
sys.stdin.read()
"""


def test_a_replay_resumes_once_the_remedy_of_its_builder_is_carried_out(tmp_path: Path) -> None:
    needed, log_file = tmp_path / "needed", tmp_path / "log"

    def command(_: str) -> list[str]:
        return [sys.executable, "-c", _BUILDER, str(needed)]

    with running_builders(["one"], command, log_file) as builders:
        builders.thread.join()
        with pytest.raises(BuilderFailed) as stopped:
            builders.raise_if_stopped()
    assert "remedy: Create it." in str(stopped.value)
    assert stopped.value.remedy.startswith("Carry out the remedy in this message")
    needed.touch()
    with running_builders(["one"], command, log_file) as builders:
        wait_for(lambda: "building" in log_file.read_text(), 60.0, log_file.read_text)
        builders.raise_if_stopped()

"""Tests of permitted and refused queries of DuckDB's readers during writes."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import duckdb
import pytest

from sinks.duckdb.analytics_views import AnalyticsViews
from sinks.duckdb.serving import PublishedCopy, ReadersRefused, ServingSettings, files_of, load_extensions, serve
from sinks.duckdb.store import DuckdbStore
from sinks.errors import StoreUnavailable
from tests.contract.log import SHOP, Event, Log, Row, batch
from tests.contract.store_harness import Form
from tests.unit.sinks.duckdb.quack import TOKEN, Reader, Rows, free_address, reader_of
from tests.unit.sinks.duckdb.queries import CALLS, READS, WRITES

SHAPES = [SHOP.root, SHOP.child]
TABLES = [name for shape in SHAPES for name in (shape.table, f"{shape.table}_history")]


def row(number: int, status: str = "pending") -> Row:
    return {"id": number, "status": status, "total": "12.30"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    """Yield a store with one order in its live generation."""
    with closing(DuckdbStore(tmp_path / "duckdb", SHAPES)) as opened:
        sink = opened.sink(1)
        sink.prepare()
        sink.cutover()
        write(opened, lambda log: log.streamed(SHOP.root, (10, 11), after=row(1)))
        yield opened


def write(store: DuckdbStore, *changes: Callable[[Log], Event]) -> None:
    log = Log(SHOP)
    for change in changes:
        change(log)
    store.sink(1).write(batch(log.events, SHOP, Form.ROWS))


@pytest.fixture
def reader(store: DuckdbStore, tmp_path: Path) -> Iterator[Reader]:
    """Yield a client with the token, which reads the served store."""
    with reader_of(store, tmp_path / "duckdb") as opened:
        yield opened


@pytest.fixture
def ask(reader: Reader) -> Callable[[str], Rows]:
    """Return a function that sends a query to the served store."""
    return reader.ask


def test_a_reader_gets_answers_while_the_store_is_written(store: DuckdbStore, ask: Callable[[str], Rows]) -> None:
    for query in READS:
        ask(query)
    assert ask("SELECT id, status, CAST(total AS VARCHAR) FROM orders") == [(1, "pending", "12.30")]
    write(store, lambda log: log.streamed(SHOP.root, (20, 21), before=row(1), after=row(1, "paid")))
    assert ask("SELECT status FROM orders") == [("paid",)]
    assert ask("SELECT count(*) FROM orders_history") == [(2,)]


def test_a_reader_sees_the_generation_that_is_live_now(store: DuckdbStore, ask: Callable[[str], Rows]) -> None:
    second = store.sink(2)
    second.prepare()
    assert ask("SELECT id FROM orders") == [(1,)]
    second.cutover()
    assert ask("SELECT id FROM orders") == []


def test_a_reader_that_does_more_than_read_is_refused(ask: Callable[[str], Rows]) -> None:
    for query in (*WRITES, *CALLS):
        with pytest.raises(duckdb.Error):
            ask(query)
    assert ask("SELECT id, status FROM orders") == [(1, "pending")]


def test_a_reader_changes_nothing_through_the_attached_catalog(reader: Reader) -> None:
    *refusals, found = reader.elsewhere(
        "INSERT INTO live.orders VALUES (2, 'new', 1)",
        "UPDATE live.orders SET status = 'mine'",
        "DELETE FROM live.orders",
        "CREATE TABLE live.mine AS SELECT 1 AS id",
        "CREATE OR REPLACE VIEW live.orders AS SELECT 1 AS id",
        "DROP VIEW live.orders",
        "WITH one AS (SELECT 3 AS id) INSERT INTO live.orders SELECT id, 'new', 1 FROM one",
        "SELECT id, status FROM live.orders",
    )
    assert [isinstance(refusal, str) for refusal in refusals] == [True] * 7
    assert found == ["(1, 'pending')"]
    assert reader.ask("SHOW TABLES") == [(name,) for name in sorted(TABLES)]


@pytest.mark.parametrize("name", ["secret.csv", "duckdb/000001.duckdb", "duckdb/generations.json"])
def test_a_reader_reads_no_file(ask: Callable[[str], Rows], tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    file = tmp_path / name
    held = locks_on(tmp_path / "duckdb" / "000001.duckdb")
    for query in (
        f"FROM read_text('{file}')",
        f"FROM read_blob('{file}*')",
        f"FROM read_csv('{file}')",
        f"FROM '{file}'",
        f'FROM "{file}"',
        f'WITH "{file}" AS (SELECT 1) FROM (FROM "{file}")',
        f"DESCRIBE '{file}'",
        f"SUMMARIZE '{file}'",
        f"FROM sniff_csv('{file}')",
        f"FROM glob('{tmp_path}/*')",
        f"FROM histogram_values('{file}', a)",
        f"FROM read_duckdb('{file}', table_name := 'orders')",
        "FROM secret.csv",
        "FROM read_csv('http://127.0.0.1:1/x.csv')",
    ):
        with pytest.raises(duckdb.Error, match=r"query refused: .*(reads files|files are not read|as text)"):
            ask(query)
    assert locks_on(tmp_path / "duckdb" / "000001.duckdb") == held != set()


def locks_on(file: Path) -> set[str]:
    """Return the POSIX locks that this process holds on a file."""
    ours = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return {kind for _, _, _, kind, pid, where, *_ in ours if where.endswith(f":{file.stat().st_ino}")}


def test_the_instance_opens_no_file_but_its_own_while_it_serves(
    store: DuckdbStore, reader: Reader, tmp_path: Path
) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    (tmp_path / "duckdb" / "beside.csv").write_text("a,b\n1,2\n")
    for file in (tmp_path / "secret.csv", tmp_path / "duckdb" / "beside.csv", tmp_path / "published" / "copy.csv"):
        with pytest.raises(duckdb.PermissionException), store.instance().cursor() as connection:
            connection.execute(f"FROM '{file}'")


def test_the_lock_on_a_live_file_holds_over_all_that_the_store_does(store: DuckdbStore, tmp_path: Path) -> None:
    file = tmp_path / "duckdb" / "000001.duckdb"
    held = locks_on(file)
    assert held
    store.size_bytes(1)
    store.generations()
    write(store, lambda log: log.streamed(SHOP.root, (20, 21), after=row(2)))
    PublishedCopy(tmp_path / "published" / "copy.duckdb", ["orders"], 5).publish(store.instance())
    store.sink(2).prepare()
    store.drop(2)
    store.instance().execute("CHECKPOINT generation_000001")
    assert locks_on(file) == held


def test_no_client_reads_with_another_token(store: DuckdbStore, tmp_path: Path) -> None:
    address = free_address()
    served = ServingSettings(address, TOKEN, files_of(tmp_path / "duckdb"))
    with closing(serve(store.instance(), served)), duckdb.connect() as reader:
        load_extensions(reader)
        with pytest.raises(duckdb.Error, match=r"(?i)token|authenti"):
            reader.execute("FROM quack_query(?, 'SELECT 1', token := 'another one')", [address])


def test_an_address_that_is_taken_is_refused_with_its_remedy(store: DuckdbStore, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"quack:127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ReadersRefused, match=address) as refused:
            serve(store.instance(), ServingSettings(address, TOKEN, files_of(tmp_path / "duckdb")))
    assert "duckdb.serve" in refused.value.remedy
    assert TOKEN not in str(refused.value)


def test_a_token_that_is_too_short_is_refused(store: DuckdbStore, tmp_path: Path) -> None:
    with pytest.raises(ReadersRefused, match="15 characters, and needs 16"):
        serve(store.instance(), ServingSettings(free_address(), "x" * 15, files_of(tmp_path / "duckdb")))


def test_the_writer_works_while_its_instance_is_locked_down(
    store: DuckdbStore, ask: Callable[[str], Rows], tmp_path: Path
) -> None:
    building = store.sink(2)
    building.prepare()
    building.cutover()
    store.drop(1)
    assert ask("SELECT count(*) FROM orders") == [(0,)]
    store.close()
    assert not list((tmp_path / "duckdb").glob("*.wal"))


def read_elsewhere(file: Path) -> str:
    """Return the orders of a published copy, read by a process without code of the project."""
    program = f"""
import duckdb
with duckdb.connect({str(file)!r}, read_only=True) as copy:
    print(copy.execute("SELECT id, status, total::VARCHAR FROM orders ORDER BY id").fetchall())
"""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_a_published_copy_is_read_by_another_process_while_the_store_is_written(
    store: DuckdbStore, tmp_path: Path
) -> None:
    copy = tmp_path / "published" / "o'brien.duckdb"
    copies = PublishedCopy(copy, ["orders", "order_items"], every_s=3600)
    assert copies.publish_if_due(store.instance())
    assert read_elsewhere(copy) == "[(1, 'pending', '12.30')]"
    write(store, lambda log: log.streamed(SHOP.root, (20, 21), before=row(1), after=row(1, "paid")))
    assert not copies.publish_if_due(store.instance())
    assert read_elsewhere(copy) == "[(1, 'pending', '12.30')]"
    with duckdb.connect(str(copy), read_only=True) as held:
        copies.publish(store.instance())
        assert held.execute("SELECT status FROM orders").fetchall() == [("pending",)]
    assert read_elsewhere(copy) == "[(1, 'paid', '12.30')]"
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_published_copy_is_open_to_those_only_whom_its_mode_names(
    store: DuckdbStore, tmp_path: Path, mode: int
) -> None:
    copy = tmp_path / "copy.duckdb"
    PublishedCopy(copy, ["orders"], every_s=5, mode=mode).publish(store.instance())
    assert stat.S_IMODE(copy.stat().st_mode) == mode


def test_a_reader_that_lists_all_tables_does_not_lock_the_published_copy(store: DuckdbStore, tmp_path: Path) -> None:
    copy = tmp_path / "published" / "copy.duckdb"
    with store.instance().cursor() as reader:

        class WhileCopied:
            """Analytics views whose creation reads the catalog while the copy is attached."""

            def create_statements(self, _tables: object) -> list[str]:
                reader.execute("BEGIN")
                reader.execute("SELECT * FROM duckdb_tables(), duckdb_databases()").fetchall()
                return []

        analytics = cast("AnalyticsViews", WhileCopied())
        PublishedCopy(copy, ["orders"], every_s=5, analytics=analytics).publish(store.instance())
        assert read_elsewhere(copy) == "[(1, 'pending', '12.30')]"


def test_a_copy_that_cannot_be_written_is_tried_again_when_the_next_is_due(store: DuckdbStore, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    folder.write_text("in the way")
    copies = PublishedCopy(folder / "copy.duckdb", ["orders"], every_s=0.5)
    with pytest.raises(StoreUnavailable, match="cannot write"):
        copies.publish_if_due(store.instance())
    assert not copies.publish_if_due(store.instance())
    folder.unlink()
    while not copies.publish_if_due(store.instance()):
        time.sleep(0.01)
    assert read_elsewhere(folder / "copy.duckdb") == "[(1, 'pending', '12.30')]"


def test_a_copy_that_was_given_up_half_way_is_replaced(store: DuckdbStore, tmp_path: Path) -> None:
    copy = tmp_path / "published" / "copy.duckdb"
    copy.parent.mkdir()
    with duckdb.connect(str(copy) + ".new") as half:
        half.execute(
            "SET checkpoint_threshold = '1GB'; CREATE TABLE orders AS SELECT 7 AS id; CREATE TABLE other (id int)"
        )
        wal = (copy.parent / "copy.duckdb.new.wal").read_bytes()
    (copy.parent / "copy.duckdb.new.wal").write_bytes(wal)
    PublishedCopy(copy, ["orders"], every_s=5).publish(store.instance())
    assert read_elsewhere(copy) == "[(1, 'pending', '12.30')]"

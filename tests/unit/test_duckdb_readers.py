"""What readers of DuckDB may ask for while it is written, and what they are refused."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import duckdb
import pytest

from sinks.duckdb_analytics import Analytics
from sinks.duckdb_names import quote
from sinks.duckdb_readers import Copies, ReadersRefused, load_extensions, only_reads, serve
from sinks.duckdb_store import DuckdbStore
from sinks.errors import StoreUnavailable
from tests.contract.log import SHOP, Event, Log, Row, batch
from tests.contract.subject import Form
from tests.unit.quack import TOKEN, Reader, Rows, free_address, reader_of

SHAPES = [SHOP.root, SHOP.child]
TABLES = [name for shape in SHAPES for name in (shape.table, f"{shape.table}_history")]
WRITES = (
    "INSERT INTO orders VALUES (2, 'new', 1)",
    "UPDATE orders SET status = 'mine'",
    "DELETE FROM orders",
    "MERGE INTO orders USING (SELECT 1 AS id) AS one ON orders.id = one.id WHEN MATCHED THEN DELETE",
    "TRUNCATE orders",
    "CREATE TABLE mine AS SELECT 1",
    "CREATE OR REPLACE VIEW orders AS SELECT 1",
    "CREATE MACRO mine() AS 1",
    "DROP VIEW orders",
    "ALTER VIEW orders RENAME TO mine",
    "ATTACH ':memory:' AS other",
    "DETACH generation_000001",
    "USE generation_000001",
    "COPY orders TO '/dev/null'",
    "EXPORT DATABASE 'elsewhere'",
    "INSTALL json",
    "LOAD json",
    "SET threads = 1",
    "RESET threads",
    "PRAGMA version",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "CHECKPOINT",
    "BEGIN",
    "EXPLAIN ANALYZE SELECT 1",
    "PREPARE one AS SELECT 1",
    "WITH one AS (SELECT 3 AS id) INSERT INTO orders SELECT id, 'new', 1 FROM one",
    "SELECT 1; DELETE FROM orders",
    "SELECT 1; SELECT 2",
    "no statement at all",
    "",
)
CALLS = (
    "SELECT * FROM quack_stop('quack:127.0.0.1:1')",
    "SELECT * FROM quack_serve('quack:127.0.0.1:1')",
    "SELECT * FROM QUERY('DELETE FROM orders')",
    "SELECT * FROM main.query('SELECT 1')",
    "SELECT * FROM query_table('orders')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM pragma_database_size()",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM force_checkpoint()",
    "SELECT * FROM enable_logging()",
    "SELECT * FROM enable_profiling()",
    "SELECT * FROM truncate_duckdb_logs()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT write_log('seen')",
    "SELECT (SELECT count(*) FROM checkpoint())",
    "WITH one AS (SELECT * FROM checkpoint()) SELECT * FROM one",
    "SELECT 1 UNION ALL SELECT 2 FROM checkpoint()",
    "SELECT 1 WHERE EXISTS (FROM checkpoint())",
    "FROM orders ORDER BY write_log('seen')",
)
READS = (
    "SELECT count(*) FROM orders",
    "FROM orders_history",
    "VALUES (1)",
    "WITH one AS (SELECT 1 AS id) SELECT * FROM orders JOIN one USING (id);",
    "SELECT status, count(*) OVER (PARTITION BY status) FROM orders QUALIFY row_number() OVER () = 1",
    "SELECT * FROM range(3), unnest([1, 2])",
    "SHOW ALL TABLES",
    "DESCRIBE orders",
    "SUMMARIZE orders",
    "SELECT * FROM duckdb_columns() WHERE table_name = 'query'",
)
HARMLESS = {
    *("generate_series", "glob", "histogram", "histogram_values", "icu_calendar_names", "json_each", "json_tree"),
    *("pg_timezone_names", "range", "repeat", "repeat_row", "seq_scan", "sniff_csv", "summary", "test_all_types"),
    *("test_vector_types", "unnest", "whoami"),
}
"""Table functions that only make rows, beside those whose names begin with `duckdb_`, `read_` or `parquet_`: these
tell of the catalog, or read files, which an instance that serves readers does not let them do."""


def row(number: int, status: str = "pending") -> Row:
    return {"id": number, "status": status, "total": "12.30"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    """A store with one order in its live generation."""
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
    """A holder of the token, who reads the served store."""
    with reader_of(store, tmp_path / "duckdb") as opened:
        yield opened


@pytest.fixture
def ask(reader: Reader) -> Callable[[str], Rows]:
    """Send a query to the served store."""
    return reader.ask


@pytest.mark.parametrize("query", READS)
def test_a_select_only_reads(query: str) -> None:
    assert only_reads(query)


@pytest.mark.parametrize("query", [*WRITES, *CALLS])
def test_whatever_is_more_than_a_select_does_not_only_read(query: str) -> None:
    assert not only_reads(query)


def test_every_table_function_of_this_duckdb_is_known_as_harmless_or_refused() -> None:
    with duckdb.connect() as connection:
        load_extensions(connection)
        listed = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type LIKE 'table%'"
        names = {name for (name,) in connection.execute(listed).fetchall()}
    open_to_readers = {name for name in names if only_reads(f"SELECT * FROM {quote(name)}()")}
    assert {"range", "read_csv", "duckdb_tables"} <= open_to_readers
    assert {
        name for name in open_to_readers if not name.startswith(("duckdb_", "read_", "parquet_"))
    } - HARMLESS == set()


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


def test_a_reader_reaches_no_file_outside_the_store(ask: Callable[[str], Rows], tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    for query in (
        f"FROM read_text('{secret}')",
        f"FROM read_csv('{secret}')",
        f"FROM '{secret}'",
        f"FROM read_blob('{tmp_path}/duckdb/../secret.csv')",
        f"FROM sniff_csv('{secret}')",
        f"FROM glob('{tmp_path}/*')",
        f"FROM read_duckdb('{tmp_path}/other.duckdb', table_name := 'orders')",
        "FROM read_text('/etc/passwd')",
        "FROM read_csv('http://127.0.0.1:1/x.csv')",
    ):
        with pytest.raises(duckdb.Error, match="disabled by configuration"):
            ask(query)


def test_nobody_reads_with_another_token(store: DuckdbStore, tmp_path: Path) -> None:
    address = free_address()
    serve(store.instance(), address, TOKEN, [tmp_path / "duckdb"])
    with duckdb.connect() as reader:
        load_extensions(reader)
        with pytest.raises(duckdb.Error, match=r"(?i)token|authenti"):
            reader.execute("FROM quack_query(?, 'SELECT 1', token := 'another one')", [address])


def test_an_address_that_is_taken_is_refused_with_its_remedy(store: DuckdbStore, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"quack:127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ReadersRefused, match=address) as refused:
            serve(store.instance(), address, TOKEN, [tmp_path / "duckdb"])
    assert "duckdb.serve" in refused.value.remedy
    assert TOKEN not in str(refused.value)


def test_a_token_that_is_too_short_is_refused(store: DuckdbStore, tmp_path: Path) -> None:
    with pytest.raises(ReadersRefused):
        serve(store.instance(), free_address(), "abc", [tmp_path / "duckdb"])


def test_the_writer_goes_on_while_its_instance_is_locked_down(
    store: DuckdbStore, ask: Callable[[str], Rows], tmp_path: Path
) -> None:
    building = store.sink(2)
    building.prepare()
    building.cutover()
    store.drop(1)
    assert ask("SELECT count(*) FROM orders") == [(0,)]
    Copies(tmp_path / "duckdb" / "published.duckdb", ["orders"], 5).publish(store.instance())
    store.close()
    assert not list((tmp_path / "duckdb").glob("*.wal"))


def read_elsewhere(file: Path) -> str:
    """The orders of a published copy, read by a process that knows nothing of us."""
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
    copies = Copies(copy, ["orders", "order_items"], every_s=3600)
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


def test_a_reader_who_lists_all_tables_meanwhile_keeps_nobody_from_the_copy(store: DuckdbStore, tmp_path: Path) -> None:
    copy = tmp_path / "published" / "copy.duckdb"
    with store.instance().cursor() as reader:

        class WhileCopied:
            """Analytics are made while the copy is attached."""

            def statements(self, _tables: object) -> list[str]:
                reader.execute("BEGIN")
                reader.execute("SELECT * FROM duckdb_tables(), duckdb_databases()").fetchall()
                return []

        analytics = cast("Analytics", WhileCopied())
        Copies(copy, ["orders"], every_s=5, analytics=analytics).publish(store.instance())
        assert read_elsewhere(copy) == "[(1, 'pending', '12.30')]"


def test_a_copy_that_cannot_be_written_is_tried_again_when_the_next_is_due(store: DuckdbStore, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    folder.write_text("in the way")
    copies = Copies(folder / "copy.duckdb", ["orders"], every_s=0.5)
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
    Copies(copy, ["orders"], every_s=5).publish(store.instance())
    assert read_elsewhere(copy) == "[(1, 'pending', '12.30')]"

"""Tests of `readmodels sql` without servers: output forms, moments, freshness of an answer, and the shell."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.cli.sql_shell import Shell
from pipeline.config import load
from pipeline.epochs.offset_sink import open_sink
from pipeline.query.freshness import freshness
from pipeline.query.query import query_with_position
from sinks.batch import Batch, OffsetRange
from sinks.duckdb.progress_query import ReadPosition
from sinks.duckdb.store import DuckdbStore
from tests.remedies.shell import SETTINGS, SHIPPED
from tests.unit.pipeline.ingest.test_epoch_history import CONTINUED, FIRST
from tests.unit.pipeline.query.test_analytics import ORDERS, shapes
from tests.unit.sinks.ordering.row_changes import batch, streamed

TOPIC_PARTITION = ("cdc.public.orders", 0)
ROW = {"customer_id": 7, "currency": "EUR", "total": "12.30", "created_at": 0, "updated_at": 0}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return settings for the command, and create a generation with two versions of an order."""
    with closing(DuckdbStore(tmp_path / "duckdb", shapes())) as store:
        sink = store.sink(1)
        sink.prepare()
        changes = [
            streamed((1_000_000, 11), 0, id=1, status="pending", **ROW),
            streamed((2_000_000, 2_000_001), 1, id=1, status="paid", **ROW),
        ]
        sink.write(batch(ORDERS, changes))
        sink.cutover()
    settings = {f"READMODELS_{name}": value for name, value in SETTINGS.items()}
    directory = {"READMODELS_DUCKDB__DIRECTORY": str(tmp_path / "duckdb")}
    return {**os.environ, **settings, **directory, "NO_COLOR": "1", "COLUMNS": "200"}


def command(folder: Path, *words: str) -> list[str]:
    """Return the command line of a separate process."""
    program = [sys.executable, "-m", "pipeline.cli", "--config", str(SHIPPED), "--home", str(folder / "home")]
    return [*program, "sql", *words]


def run(environment: dict[str, str], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *words), env=environment, cwd=SHIPPED.parent, capture_output=True, text=True, check=False
    )


def test_the_freshness_of_a_result_is_printed_on_standard_error(environment: dict[str, str], tmp_path: Path) -> None:
    ended = run(environment, tmp_path, "SELECT status FROM orders", "--json")
    assert json.loads(ended.stdout) == [{"status": "paid"}]
    assert ended.stderr.startswith("newest change committed at 1970-01-01T00:00:02.000+00:00, ")
    assert ended.stderr.count("\n") == 1
    assert "Kafka did not answer in time" in ended.stderr


def test_the_place_of_an_answer_is_in_the_log_s_own_offsets_in_every_epoch(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", environment)
    settings = load(SHIPPED, {})
    with closing(DuckdbStore(settings.duckdb.directory, shapes())) as store:
        for epoch in (FIRST, CONTINUED):
            store.record_epoch(1, epoch)
        open_sink(store, 1).write(Batch(span=OffsetRange({TOPIC_PARTITION: 10}, {TOPIC_PARTITION: 40})))
    place = query_with_position(settings, "SELECT 1").place
    assert place is not None
    assert place.offsets[TOPIC_PARTITION] == 40


def test_freshness_counts_the_records_that_are_not_read_yet() -> None:
    place, now = (
        ReadPosition(datetime(2026, 1, 1, tzinfo=UTC), {TOPIC_PARTITION: 40}),
        datetime(2026, 1, 1, 0, 0, 1, 250_000, UTC),
    )
    newest = "newest change committed at 2026-01-01T00:00:00.000+00:00, 1.2 s ago"
    assert (
        freshness(place, {TOPIC_PARTITION: 42, ("cdc.public.order_items", 1): 5}, now)
        == f"{newest}; 7 records not read yet"
    )
    assert freshness(place, {TOPIC_PARTITION: 39}, now) == f"{newest}; 0 records not read yet"


def test_the_statement_may_be_in_a_file_and_the_answer_too(environment: dict[str, str], tmp_path: Path) -> None:
    statement = tmp_path / "question.sql"
    statement.write_text("-- what there is\nSELECT id, total, created_at\nFROM orders;\n")
    for form, read in (("parquet", pq.read_table), ("arrow", lambda file: pa.ipc.open_file(file).read_all())):
        answer = tmp_path / f"answer.{form}"
        ended = run(environment, tmp_path, "--file", str(statement), "--format", form, "--output", str(answer))
        assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
        (row,) = read(answer).to_pylist()
        assert (row["id"], str(row["total"]), row["created_at"]) == (1, "12.30", datetime.fromtimestamp(0, UTC))
    assert run(environment, tmp_path, "FROM orders", "--format", "arrow").returncode == 2
    assert run(environment, tmp_path, "FROM orders", "--file", str(statement)).returncode == 2


def test_a_type_that_a_file_cannot_hold_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    answer = tmp_path / "answer.parquet"
    ended = run(environment, tmp_path, "SELECT INTERVAL 1 DAY AS took", "--format", "parquet", "--output", str(answer))
    assert ended.returncode == 1
    assert "FormatCannotHold" in ended.stderr
    assert not answer.exists()


@pytest.mark.parametrize(
    ("moment", "status"),
    [("1970-01-01T00:00:01.5Z", "pending"), ("1970-01-01T00:00:01.5", "pending"), ("1971-01-01", "paid")],
)
def test_a_query_can_be_run_as_of_a_time(moment: str, status: str, environment: dict[str, str], tmp_path: Path) -> None:
    ended = run(environment, tmp_path, "--as-of", moment, "SELECT status FROM orders_by_status", "--json")
    assert json.loads(ended.stdout) == [{"status": status}], ended.stderr


def test_a_query_without_a_history_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    ended = run(environment, tmp_path, "--as-of", "2026-01-01", "FROM orders_history")
    assert ended.returncode == 1
    assert "NoHistory: orders_history" in ended.stderr
    assert run(environment, tmp_path, "--as-of", "yesterday", "FROM orders").returncode == 2


class Terminal:
    """A shell on its own terminal, with the text that it showed."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command(folder), env=environment, cwd=SHIPPED.parent, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self.shown = ""

    def type(self, text: str) -> None:
        """Send keystrokes."""
        os.write(self._ours, text.encode())

    def wait_for(self, text: str, within_s: float = 60) -> None:
        """Wait until a text is shown, and discard the output before it."""
        deadline = time.monotonic() + within_s
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} was not shown: {self.shown!r}"
            try:
                self.shown += os.read(self._ours, 10_000).decode(errors="replace")
            except OSError:
                pytest.fail(f"the shell ended without {text!r}: {self.shown!r}")
        self.shown = self.shown.partition(text)[2]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(environment: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    with closing(Terminal(environment, tmp_path)) as opened:
        yield opened


def test_the_shell_continues_after_errors_completes_names_and_keeps_a_history(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.wait_for("readmodels> ")
    terminal.type("SELECT status\n")
    terminal.wait_for("..> ")
    terminal.type("FROM orders;\n")
    terminal.wait_for("paid")
    terminal.wait_for("readmodels> ")
    terminal.type("SELECT nonsense FROM orders;\n")
    terminal.wait_for("QueryFailed")
    terminal.wait_for("readmodels> ")
    terminal.type("SELECT count(*) AS how_many FROM order_items_h\t;\n")
    terminal.wait_for("order_items_history")
    terminal.wait_for("how_many")
    terminal.wait_for("readmodels> ")
    terminal.type("quit\n")
    assert terminal.process.wait(60) == 0
    assert "FROM order_items_history" in (tmp_path / "home" / "sql_history").read_text()


def test_the_shell_completes_names_and_keywords() -> None:
    shell = Shell(print, lambda: ["orders", "order_items"], Path("nowhere"))
    assert [shell.complete("ord", state) for state in range(4)] == ["orders", "order_items", "ORDER BY", None]

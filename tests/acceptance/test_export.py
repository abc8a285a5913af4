"""Tests of `readmodels export` while everything runs: the export equals PostgreSQL's and DuckDB's contents."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import duckdb

from pipeline.query.query import run_query
from tests.acceptance.cli_runner import Command
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.test_history import Look, look
from tests.acceptance.test_killed_workers import random_moment

KILLED = 6
LONGEST_S = 5.0
NAMES = ("orders_history", "order_items_history")
HELD = """
    SELECT count(*), coalesce(sum(total), 0) FROM orders_history
    WHERE valid_from <= $1 AND (valid_to IS NULL OR $1 < valid_to) AND _special IS NULL
"""


def opened(folder: Path, name: str) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection with an exported history, and nothing else."""
    connection = duckdb.connect()
    connection.execute(f"SET VARIABLE export = '{folder / name}'")
    connection.execute((folder / name / "history.sql").read_text())
    return connection


def require_held(folder: Path, seen: Look) -> None:
    """Check that an export holds what PostgreSQL held at a moment before its watermark."""
    assert (
        seen.moment.isoformat() < json.loads((folder / "orders_history/manifest.json").read_bytes())["mark"]["set_at"]
    )
    with opened(folder, "orders_history") as connection:
        found = connection.execute(HELD, [seen.moment]).fetchall()
    assert found == [(seen.held["orders"], Decimal(seen.held["total"]))]


def test_an_export_that_is_killed_at_random_moments_holds_each_version_once(pipeline: Pipeline, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    words = ("export", *NAMES, "orders", "--format", "parquet", "--to", str(folder))
    command: Command = pipeline.command
    with pipeline.load():
        for number in range(KILLED):
            run = command.start(tmp_path / f"export-{number}.log", *words)
            random_moment(LONGEST_S)
            run.process.kill()
            run.process.wait()
        seen = look(pipeline.source)
        done = command(*words, "--json")
        assert done.returncode == 0, done.stderr
        require_held(folder, seen)
    pipeline.settle("duckdb")
    done = command(*words, "--json")
    told = {one["table"]: one for one in json.loads(done.stdout)}
    for name in NAMES:
        held = run_query(pipeline.settings, f"FROM {name}")
        columns = ", ".join(held.column_names)
        with opened(folder, name) as connection:
            connection.register("held", held)
            for one, other in ((name, "held"), ("held", name)):
                query = f"SELECT {columns} FROM {one} EXCEPT ALL SELECT {columns} FROM {other}"
                assert connection.execute(query).fetchall() == []
        listed = {file["name"] for file in json.loads((folder / name / "manifest.json").read_bytes())["files"]}
        assert {f"{path.parent.name}/{path.name}" for path in (folder / name).rglob("*.parquet")} == listed
        assert told[name]["rows"] >= held.num_rows
    assert told["orders"]["rows"] == run_query(pipeline.settings, "FROM orders").num_rows

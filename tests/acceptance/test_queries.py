"""Tests of `readmodels sql`: DuckDB answers while a worker writes, and rejects changes."""

from __future__ import annotations

import csv
import io
import json

import duckdb
import pytest

from pipeline.query.query import run_query
from sinks.duckdb.query_check import QueryRefused
from sinks.duckdb.serving import load_extensions
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.shop import place

REFUSED = (
    "INSERT INTO orders (id) VALUES (1)",
    "UPDATE orders SET note = ''",
    "DELETE FROM orders",
    "CREATE TABLE mine AS SELECT 1",
    "DROP VIEW orders",
    "ATTACH ':memory:' AS other",
    "COPY orders TO '/dev/null'",
    "SET threads = 1",
    "CALL pragma_version()",
    "SELECT 1; DELETE FROM orders",
    "WITH old AS (SELECT 1 AS id) INSERT INTO orders (id) SELECT id FROM old",
    "no statement at all",
)


def test_answers_come_while_the_worker_writes(pipeline: Pipeline) -> None:
    counts = []
    with pipeline.load():
        for _ in range(3):
            answer = pipeline.command("sql", "--json", "SELECT count(*) AS versions FROM orders_history")
            assert answer.returncode == 0, answer.stderr
            counts += [row["versions"] for row in json.loads(answer.stdout)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    pipeline.settled()


def test_an_answer_is_an_array_of_objects_with_exact_values(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id)
    document = pipeline.settled().documents[order_id]
    inside = """'{"a": [1.10, 9007199254740993]}'::JSON AS inside, ['"a"'::JSON, NULL] AS many"""
    query = f"SELECT id, total, created_at, note, NULL AS nothing, {inside} FROM orders WHERE id = {order_id}"
    answer = pipeline.command("sql", query, "--json")
    assert '{"a": [1.10, 9007199254740993]}' in answer.stdout
    assert json.loads(answer.stdout) == [
        {
            "id": order_id,
            "total": "12.30",
            "created_at": document["created_at"],
            "note": document["note"],
            "nothing": None,
            "inside": {"a": [1.1, 9007199254740993]},
            "many": ["a", None],
        }
    ]
    assert json.loads(pipeline.command("sql", "--json", "SELECT 1 WHERE false").stdout) == []


def test_an_answer_can_be_a_table_or_csv(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id)
    pipeline.settle()
    query = f"SELECT id, note, total FROM orders WHERE id = {order_id}"
    rows = list(csv.reader(io.StringIO(pipeline.command("sql", "--format", "csv", query).stdout)))
    assert rows == [["id", "note", "total"], [str(order_id), "Grüße 🎁", "12.30"]]
    heading, row = pipeline.command("sql", query).stdout.splitlines()
    assert heading.split() == ["id", "note", "total"]
    assert row.split() == [str(order_id), "Grüße", "🎁", "12.30"]


def test_anything_but_one_select_is_refused(pipeline: Pipeline) -> None:
    for query in REFUSED:
        with pytest.raises(QueryRefused):
            run_query(pipeline.settings, query)
    answer = pipeline.command("sql", REFUSED[0])
    assert answer.returncode == 1
    assert "QueryRefused" in answer.stderr
    assert "one SELECT" in answer.stderr


def test_the_worker_itself_refuses_readers_that_would_write(pipeline: Pipeline) -> None:
    """Check without `readmodels sql`, because a client with the token need not use it."""
    served = pipeline.settings.duckdb
    with duckdb.connect() as reader:
        load_extensions(reader)
        answer = reader.execute("FROM quack_query(?, 'SELECT 42', token := ?)", [served.serve, served.token])
        assert answer.fetchall() == [(42,)]
        for query in REFUSED:
            with pytest.raises(duckdb.Error):
                reader.execute("FROM quack_query(?, ?, token := ?)", [served.serve, query, served.token]).fetchall()
    pipeline.settled()


def test_a_select_that_fails_prints_the_reason(pipeline: Pipeline) -> None:
    answer = pipeline.command("sql", "SELECT no_such_column FROM orders")
    assert answer.returncode == 1
    assert "no_such_column" in answer.stderr


def test_answers_come_while_no_worker_runs(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id)
    pipeline.settle()
    pipeline.end()
    answer = pipeline.command("sql", "--json", f"SELECT id FROM orders WHERE id = {order_id}")
    assert json.loads(answer.stdout) == [{"id": order_id}]
    assert pipeline.command("sql", "CREATE TABLE mine (id int)").returncode == 1

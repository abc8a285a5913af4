"""Tests of the check of readers' queries, against the functions, types and views of the installed DuckDB."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress

import duckdb
import pytest

from sinks.duckdb.query_check import (
    AnyName,
    Names,
    QueryRefused,
    expression_functions,
    own_views,
    require_reads,
    table_functions,
    types,
    views,
)
from sinks.duckdb.serving import load_extensions
from tests.unit.sinks.duckdb.queries import CALLS, READS, WRITES


class NoName:
    """An empty catalog."""

    def has_macro(self, name: str) -> bool:  # noqa: ARG002
        return False

    def has_relation(self, path: tuple[str, str, str]) -> bool:  # noqa: ARG002
        return False


@pytest.fixture(scope="module")
def installed() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield the pinned DuckDB, with the extensions that serve readers."""
    with duckdb.connect() as connection:
        load_extensions(connection)
        yield connection


def named(installed: duckdb.DuckDBPyConnection, query: str) -> set[str]:
    return {name.lower() for (name,) in installed.execute(query).fetchall()}


def known(names: Names) -> set[str]:
    assert not names.allowed & names.refused.keys()
    return {*names.allowed, *names.refused}


@pytest.mark.parametrize("query", READS)
def test_a_query_that_reads_is_allowed(query: str) -> None:
    require_reads(query, AnyName())


@pytest.mark.parametrize("query", [*WRITES, *(call for call in CALLS if "readmodels_authorize" not in call)])
def test_a_query_that_does_more_than_read_is_refused(query: str) -> None:
    with pytest.raises(QueryRefused):
        require_reads(query, AnyName())


def test_every_function_of_this_duckdb_is_allowed_or_refused_by_name(installed: duckdb.DuckDBPyConnection) -> None:
    listed = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type"
    # UNNEST is a table function that DuckDB also accepts in an expression.
    assert known(expression_functions()) == named(installed, f"{listed} IN ('scalar', 'aggregate', 'macro')") | {
        "unnest"
    }
    assert known(table_functions()) == named(installed, f"{listed} IN ('table', 'table_macro')")


def test_every_aggregate_is_allowed_for_list_aggregate_takes_any_by_its_name(
    installed: duckdb.DuckDBPyConnection,
) -> None:
    listed = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'"
    assert named(installed, listed) <= expression_functions().allowed


def test_every_type_and_view_of_this_duckdb_is_allowed_or_refused_by_name(installed: duckdb.DuckDBPyConnection) -> None:
    listed = "SELECT DISTINCT unnest([type_name, logical_type]) FROM duckdb_types() WHERE database_name = 'system'"
    assert {name.replace(" ", "_") for name in named(installed, listed)} | {"aggregate_state"} == known(types())
    assert {name.lower() for name in own_views()} == known(views())


@pytest.mark.parametrize("function", ["pandas_scan", "json_serialize_plan", "current_setting", "made_up"])
def test_a_refusal_names_the_function_wherever_it_is_called(function: str) -> None:
    for query in (
        f"SELECT {function}(1)",
        f"SELECT 1 + abs({function.upper()}(1))",
        f"SELECT system.main.{function}(1)",
        f"SELECT (1).{function}()",
        f"SELECT list_transform([1], lambda x: {function}(x))",
        f"WITH one AS (SELECT {function}(1) AS x) SELECT sum(x) OVER (ORDER BY 1) FROM one",
        f"SELECT 1 ORDER BY {function}(1)",
        f"EXPLAIN SELECT {function}(1)",
        f"FROM {function}(1)",
        f"FROM range(3), LATERAL (FROM {function}(range))",
        f"SELECT count(*) FROM orders PIVOT (max({function}(1)) FOR status IN ('paid'))",
    ):
        with pytest.raises(QueryRefused, match=f"(?i){function}"):
            require_reads(query, NoName())


@pytest.mark.parametrize(
    "name",
    [
        "'x.csv'",
        '"x.parquet"',
        "secrets.json",
        "main.csv",
        "generation_000001.duckdb",
        "'/tmp/x.csv'",
        "'s3://a/b.csv'",
    ],
)
def test_a_name_with_a_dot_that_is_no_table_is_refused_before_it_is_opened_as_a_file(name: str) -> None:
    for query in (f"FROM {name}", f"DESCRIBE {name}", f"SUMMARIZE {name}", f"SELECT (SELECT count(*) FROM {name})"):
        with pytest.raises(QueryRefused, match="files are not read"):
            require_reads(query, NoName())
        require_reads(query, AnyName())


def test_a_text_beyond_the_bound_is_not_parsed() -> None:
    query = f"SELECT 1 IN ({', '.join(['1'] * 5_000_000)})"
    with pytest.raises(QueryRefused, match=r"at most 200000 bytes \(duckdb.max_query_bytes\)"):
        require_reads(query, AnyName())


@pytest.mark.parametrize(
    "query",
    [
        "SELECT " + "(" * 60_000 + "1" + ")" * 60_000,
        "SELECT " + "1 + " * 45_000 + "1",
        "SELECT " + "[" * 60_000 + "]" * 60_000,
        "SELECT " + "NOT " * 45_000 + "true",
        "SELECT " + "(SELECT " * 15_000 + "1" + ")" * 15_000,
        "SELECT " + "a." * 60_000 + "b" + " FROM 'x",
        "FROM " + "(FROM " * 20_000 + "orders" + ")" * 20_000,
        "SELECT '\ud800'",
    ],
)
def test_a_query_that_cannot_be_parsed_is_refused_with_a_reason(query: str) -> None:
    with pytest.raises(QueryRefused, match=r"\w"):
        require_reads(query, AnyName())


def test_no_change_of_bytes_lets_a_query_end_in_anything_but_an_answer_or_a_refusal() -> None:
    random.seed(9494)
    queries = [query for query in (*READS, *WRITES, *CALLS) if query]
    for _ in range(500):
        query = list(random.choice(queries))
        for _ in range(random.randint(1, 4)):
            query[random.randrange(len(query))] = random.choice("'\"();.,:$?\x00\n\\ é*-/")
        with suppress(QueryRefused):
            require_reads("".join(query), AnyName())

"""Short runs of the fuzz test of readers' queries; `tests.fuzz_readers` runs it for longer."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from sinks.duckdb.query_check import AnyName, QueryRefused, require_reads
from tests.fuzz_readers.fuzz import fuzz
from tests.fuzz_readers.grammar import Grammar, Query

QUERIES_CHECKED = 3_000
QUERIES_SENT = 100


def is_refused(query: Query) -> bool:
    try:
        require_reads(query.text, AnyName())
    except QueryRefused:
        return True
    return False


def test_every_call_of_a_forbidden_function_is_refused() -> None:
    queries = [query for query in islice(Grammar(9494, []), QUERIES_CHECKED) if "secret.csv" not in query.text]
    refused = [is_refused(query) for query in queries]
    assert [query.text for query, no in zip(queries, refused, strict=True) if query.is_forbidden and not no] == []
    assert 500 < sum(refused) < len(queries) - 300


def test_no_query_of_a_reader_gets_further_than_the_tables(tmp_path: Path) -> None:
    found = fuzz(tmp_path / "fuzz", seed=9494, until=lambda sent: sent >= QUERIES_SENT)
    assert found.outcomes["answered"] > 0
    assert found.outcomes["refused"] > 30

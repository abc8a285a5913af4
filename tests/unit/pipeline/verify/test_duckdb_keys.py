"""Tests of the number of queries by which `verify` requests keys from a worker, given the length of their text."""

from __future__ import annotations

from typing import Any, cast

import duckdb
import pytest

from pipeline.definitions import TableDefinition
from pipeline.stores.read_model import ModelKind
from pipeline.table_view import whole_table
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.readers.duckdb import DuckdbReader
from sinks.duckdb.reader_limits import DEFAULT_LIMITS
from sinks.sink import Store

TABLE = TableDefinition(source="public.notes", key=("name",), columns={"name": "text"})
NOTES = ComparisonSet("notes", whole_table("notes", TABLE), ModelKind.ROW)


@pytest.mark.parametrize("length", [1, 300, 2_700])
def test_keys_of_any_length_are_all_found_by_queries_that_a_worker_takes(length: int) -> None:
    keys = [f"{number}'ü".ljust(length, "x") for number in range(1_000)]
    asked: list[str] = []
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE notes (name VARCHAR)")
        connection.execute("INSERT INTO notes SELECT unnest($1::VARCHAR[])", [keys])

        def ask(query: str) -> duckdb.DuckDBPyConnection:
            asked.append(query)
            return connection.execute(query)

        found = DuckdbReader((NOTES,), cast(Store, cast(Any, None)), None, ask).lookup(NOTES, [*keys, "absent"])
    assert found.keys() == set(keys)
    assert max(len(query.encode()) for query in asked) < DEFAULT_LIMITS.max_query_bytes

"""Queries of all kinds from the functions of the installed DuckDB: allowed, forbidden and senseless ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import duckdb

from sinks.duckdb.query_check import expression_functions, table_functions
from sinks.duckdb.serving import load_extensions
from sinks.duckdb.sql_text import quote_identifier
from tests.unit.sinks.duckdb.queries import CALLS, READS, WRITES

VALUES = (
    "NULL", "0", "-1", "1", "3", "9223372036854775807", "1.5", "'nan'::DOUBLE", "true", "''", "'x'", "'a,b'", "'%d'",
    "'[1, {\"a\": 2}]'", "'[1]'::JSON", "'\\xAA'::BLOB", "[1, 2, 3]", "[]", "['a', NULL]", "{'a': 1, 'b': 'x'}",
    "MAP {'a': 1}", "DATE '2026-01-02'", "TIMESTAMP '2026-01-02 03:04:05'", "now()", "INTERVAL 3 DAY", "uuid()",
    "12.30::DECIMAL(12, 2)", "lambda x: x", "(SELECT max(id) FROM orders)", "[[1], [2]]", "'2026-01-02'::TIMETZ",
    "'101'::BIT", "union_value(a := 1)", "1::HUGEINT", "'a'::ENUM('a', 'b')", "[1, 2]::INTEGER[2]", "'sum'", "'UTC'",
    "'SELECT 1'", "'FROM pandas_scan(NULL)'", "'DELETE FROM orders'", "'orders'", "'year'", "id", "status", "orders",
)  # fmt: skip
PLACES = (
    "SELECT {e}", "SELECT {e} FROM orders", "SELECT id FROM orders WHERE ({e}) IS NULL", "FROM orders ORDER BY {e}",
    "SELECT count(*) FROM orders GROUP BY {e}", "SELECT {e} OVER (PARTITION BY id ORDER BY status) FROM orders",
    "WITH one AS (SELECT {e} AS x FROM orders) FROM one", "SELECT (SELECT {e})", "SELECT [{e} FOR x IN [1, 2]]",
    "SELECT list_transform([1, 2], lambda x: {e})", "SELECT TRY({e})", "SELECT CAST({e} AS VARCHAR) FROM orders",
    "SELECT CASE WHEN true THEN {e} END", "FROM orders LIMIT {e}", "SELECT * REPLACE ({e} AS id) FROM orders",
    "EXPLAIN SELECT {e}", "DESCRIBE SELECT {e}", "SUMMARIZE SELECT {e}", "SELECT {e} UNION ALL SELECT {e}",
    "FROM orders PIVOT (max({e}) FOR status IN ('new'))", "VALUES ({e})", "SELECT 1 FROM orders QUALIFY {e}",
    "FROM range(2) AS one, LATERAL (SELECT {e})", "SELECT max({e}) FILTER (WHERE {e}) FROM orders",
    "SELECT {e}; SELECT 1",
    "PREPARE one AS SELECT {e}", "CALL {e}", "SET VARIABLE one = {e}", "COPY (SELECT {e}) TO 'out.csv'", "PRAGMA {e}",
)  # fmt: skip
SOURCES = (
    "FROM {t}", "SELECT count(*) FROM {t}", "FROM orders, {t}", "FROM orders JOIN {t} ON true", "DESCRIBE FROM {t}",
    "WITH one AS (FROM {t}) FROM one", "SELECT (SELECT count(*) FROM {t})", "FROM orders, LATERAL (FROM {t})",
    "EXPLAIN ANALYZE FROM {t}", "SUMMARIZE FROM {t}", "FROM orders WHERE EXISTS (FROM {t})", "SHOW {t}", "TABLE {t}",
    "CREATE TABLE mine AS FROM {t}", "CALL {t}", "FROM {t} UNION ALL FROM {t}",
    "FROM (PIVOT {t} ON a IN (1) USING count(*))",
)  # fmt: skip
NOISE = ("", " ", ";", ";;", " -- x", " /* x */", "\n", "\x00", ")", "'", '"', "\u00a0", " SELECT 1")

_FUNCTIONS = """
    SELECT DISTINCT function_name, function_type, least(len(parameters), 5) FROM duckdb_functions() ORDER BY ALL
"""


@dataclass(frozen=True)
class Query:
    """A query, and whether it calls a function forbidden to readers."""

    text: str
    is_forbidden: bool


class Grammar:
    """Generator of queries, the same ones for the same seed.

    Args:
        paths: files whose content must never be seen.
    """

    def __init__(self, seed: int, paths: list[str]) -> None:
        self._random = Random(seed)
        self._values = (*VALUES, *(f"'{path}'" for path in paths))
        self._files = [form for path in paths for form in (f"'{path}'", f'"{path}"', f"'{path}*'")] + ["secret.csv"]
        with duckdb.connect() as connection:
            load_extensions(connection)
            found = connection.execute(_FUNCTIONS).fetchall()
        self._functions = [(name, kind.startswith("table"), count) for name, kind, count in found]

    def __iter__(self) -> Iterator[Query]:
        """Yield every function once in both positions, then random queries."""
        for name, _, count in self._functions:
            yield Query(f"SELECT {self._call(name, count)} FROM orders", name in expression_functions().refused)
            yield Query(f"FROM {self._call(name, count)}", name in table_functions().refused)
        while True:
            yield self._any()

    def _any(self) -> Query:
        pick = self._random.random()
        if pick < 0.05:
            return Query(self._noisy(self._random.choice((*READS, *WRITES, *CALLS))), is_forbidden=False)
        if pick < 0.15:
            return Query(self._random.choice(SOURCES).format(t=self._random.choice(self._files)), is_forbidden=True)
        name, is_table, count = self._random.choice(self._functions)
        call = self._call(name, count, depth=2)
        if is_table:
            return Query(self._noisy(self._random.choice(SOURCES).format(t=call)), is_forbidden=False)
        return Query(self._noisy(self._random.choice(PLACES).format(e=call)), is_forbidden=False)

    def _call(self, name: str, count: int, depth: int = 0) -> str:
        arguments = ", ".join(self._value(depth) for _ in range(max(0, count + self._random.choice((0, 0, 0, 1, -1)))))
        prefix = self._random.choice(("", "", "", "main.", "system.main.", "pg_catalog."))
        return f"{prefix}{quote_identifier(self._random.choice((name, name.upper())))}({arguments})"

    def _value(self, depth: int) -> str:
        if depth and self._random.random() < 0.3:
            name, _, count = self._random.choice(self._functions)
            return self._call(name, count, depth - 1)
        return self._random.choice(self._values)

    def _noisy(self, query: str) -> str:
        if self._random.random() < 0.8:
            return query
        at = self._random.randrange(len(query) + 1)
        return query[:at] + self._random.choice(NOISE) + query[at:]

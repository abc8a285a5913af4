"""Tests that a filter means the same in Arrow and in PostgreSQL, and is refused where it cannot."""

from __future__ import annotations

import pytest
from psycopg import sql

from pipeline.definitions import TableDefinition
from pipeline.ingest.row_filter import matches
from pipeline.postgres.database import Connection
from pipeline.row_filter import parse_filter
from pipeline.table_view import TableView
from pipeline.verify.source.row_filter import is_shown
from pipeline.verify.source.row_images import image_columns, images

NAME = "filter_test"
COLUMNS = {
    "id": "integer",
    "n": "bigint",
    "d": "numeric",
    "t": "text",
    "c": "character(5)",
    "b": "boolean",
    "z": "timestamp with time zone",
    "p": "timestamp without time zone",
    "day": "date",
    "u": "uuid",
    "odd name": "text",
    "f": "double precision",
    "e": "mood",
}
TABLE = TableDefinition(source="pg_temp.filtered", key=("id",), columns=COLUMNS)
U = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
ROWS = [
    (1, None, None, None, None, None, None, None, None, None, None, None, None),
    (2, 5, "1.0", "new", "new", True, "2026-01-31 12:00:00+00", "2026-01-31 12:00", "2026-01-31", U, "x", 1.5, "sad"),
    (3, -7, "NaN", "New", "", False, "infinity", "-infinity", "infinity", None, "it's", 0, "ok"),
    (4, 2**63 - 1, "1.00001", "", "a b", None, "294276-12-31+00", "0044-03-15 BC", "0044-01-01 BC", U, "", 0, None),
    (5, 0, "-Infinity", "new ", "new", True, "2026-01-31 13:00:00+01", "2027-01-01", "-infinity", None, "X", 0, None),
]  # fmt: skip
FILTERS = [
    *(f"n {operator} 5" for operator in ("=", "<>", "!=", "<", "<=", ">", ">=")),
    *(f"d {operator} 1.00" for operator in ("=", "<>", "<", "<=", ">", ">=")),
    *(f"z {operator} '2026-01-31T12:00:00Z'" for operator in ("=", "<>", "<", "<=", ">", ">=")),
    *(f"p {operator} '2026-01-31 12:00:00.000000'" for operator in ("=", "<>", "<", ">=")),
    *(f"day {operator} '2026-01-31'" for operator in ("=", "<>", "<", ">=")),
    "t = 'new'",
    "t <> 'new'",
    "t in ('new', 'New', '')",
    "c = 'new  '",
    "c <> ''",
    "b = true",
    "b <> true",
    "b in (false)",
    f"u = '{U.upper()}'",
    "\"odd name\" = 'it''s'",
    "f is not null and n in (0, 5, -7)",
    "t is null",
    "e in ('ok', 'unknown label')",
    "d in (1, 1.00001) AND t IS NOT NULL",
]


@pytest.fixture
def filled(writer: Connection) -> Connection:
    """Return a connection whose session has a table with NULLs and extremes of every comparable type."""
    writer.execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'ok')")
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL("pg_temp.mood" if text == "mood" else text))
        for name, text in COLUMNS.items()
    )
    writer.execute(sql.SQL("CREATE TEMP TABLE filtered ({})").format(columns))
    for row in ROWS:
        values = sql.SQL(", ").join(map(sql.Literal, row))
        writer.execute(sql.SQL("INSERT INTO filtered VALUES ({})").format(values))
    return writer


def test_a_filter_means_the_same_in_arrow_as_in_postgresql(filled: Connection) -> None:
    columns = sql.SQL(", ").join(image_columns(TABLE, "row"))
    rows = images(
        TABLE, filled.execute(sql.SQL("SELECT {} FROM filtered AS row ORDER BY id").format(columns)).fetchall()
    )
    for text in FILTERS:
        where = parse_filter(text, COLUMNS)
        view = TableView("filtered", TABLE, ("id",), {}, where)
        query = sql.SQL("SELECT id FROM filtered AS row WHERE {} ORDER BY id").format(is_shown(view, "row"))
        chosen = [one for one, met in zip(rows, matches(rows, where, COLUMNS).to_pylist(), strict=True) if met]
        assert [one["id"].as_py() for one in chosen] == [row[0] for row in filled.execute(query)], text

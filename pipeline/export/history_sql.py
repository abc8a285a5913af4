"""SQL script with which DuckDB reads an exported history with `valid_from`, `valid_to` and `op`, as the model does."""

from __future__ import annotations

from pipeline.terminal_text import on_one_line
from sinks.duckdb.history import history_query
from sinks.duckdb.sql_text import quote_identifier, quote_literal
from sinks.shape import RowShape

SCRIPT = "history.sql"

_FENCES = """(
    SELECT unnest(from_json(json_extract(getvariable('manifest'), '$.fences'), '[{"scope": "VARCHAR", "kind": "VARCHAR",
        "epoch": "INTEGER", "commit_lsn": "BIGINT", "lsn": "BIGINT", "started_at": "MAP(INTEGER, BIGINT)",
        "committed_at": "TIMESTAMPTZ"}]'), max_depth := 2))"""


def commented(text: str) -> str:
    """Return a text that stays within its SQL comment. A line feed in a name would end the comment."""
    return on_one_line(text)


def history_sql(name: str, shape: RowShape) -> str:
    """Return statements that create a view of exactly the files that the manifest lists."""
    history = history_query(shape, "read_parquet(getvariable('files'), hive_partitioning = true)", _FENCES)
    return f"""\
-- In DuckDB, with the folder or prefix in which this lies:
--     SET VARIABLE export = {commented(quote_literal(f"s3://bucket/prefix/{name}"))};
--     .read history.sql
--     FROM {commented(quote_identifier(name))};
-- To see a later run of the export, read it again.
SET VARIABLE manifest = (SELECT content FROM read_text(getvariable('export') || '/manifest.json'));
SET VARIABLE files = (
    SELECT list_transform(json_extract_string(getvariable('manifest'), '$.files[*].name'),
        lambda name: getvariable('export') || '/' || name));
CREATE OR REPLACE TEMP VIEW {quote_identifier(name)} AS{history};
"""  # noqa: S608 - names are quoted

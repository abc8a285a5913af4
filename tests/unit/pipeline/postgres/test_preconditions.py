"""Tests that each problem of the source is found alone, with its remedy."""

from dataclasses import replace

import pytest

from connectors.debezium import default_configuration
from pipeline.postgres.capture import Capture, CapturedTable, DatabaseState, SourceState
from pipeline.postgres.preconditions import findings, gaps
from pipeline.postgres.replication import Slot

CONFIGURATION = default_configuration()
DATABASE = DatabaseState(
    wal_level="logical",
    encoding="UTF8",
    is_published=True,
    is_every_operation_published=True,
    published_tables=["readmodels.signal", "readmodels.heartbeat", "public.order_items", "public.orders"],
    partly_published_tables=[],
)
TABLE = CapturedTable(
    table_name="public.orders",
    quoted_name="public.orders",
    quoted_schema="public",
    is_present=True,
    is_plain=True,
    is_identity_full=True,
    is_row_secured=False,
    is_schema_usable=True,
    is_readable=True,
    is_keyed=True,
    is_key_deferrable=False,
    generated_columns=[],
)
SLOT = Slot("debezium_orders", "orders_db", "pgoutput", True, "reserved", None, 1, 1, 0)
COLUMNS = {"public.orders": {"id", "note", "sum"}}
CAPTURE = Capture(CONFIGURATION, "debezium", COLUMNS)
READY = SourceState(DATABASE, [TABLE, replace(TABLE, table_name="public.order_items")], SLOT)


def with_table(**wrong: object) -> SourceState:
    return replace(READY, tables=[replace(TABLE, **wrong)])  # type: ignore[arg-type]


BROKEN = {
    "wal_level is replica": replace(READY, database=replace(DATABASE, wal_level="replica")),
    "encoding is SQL_ASCII": replace(READY, database=replace(DATABASE, encoding="SQL_ASCII")),
    "no publication": replace(READY, database=replace(DATABASE, is_published=False)),
    "leaves out an operation": replace(READY, database=replace(DATABASE, is_every_operation_published=False)),
    "leaves out readmodels.signal": replace(
        READY, database=replace(DATABASE, published_tables=list(CONFIGURATION.tables))
    ),
    "rows or columns": replace(READY, database=replace(DATABASE, partly_published_tables=["public.orders"])),
    "no table public.orders": with_table(is_present=False),
    "not an ordinary logged table": with_table(is_plain=False),
    "whole old rows": with_table(is_identity_full=False),
    "row level security": with_table(is_row_secured=True),
    "debezium may not use the schema": with_table(is_schema_usable=False),
    "debezium may not read public.orders": with_table(is_readable=False),
    "no primary key": with_table(is_keyed=False),
    "deferrable": with_table(is_key_deferrable=True),
    "public.orders.sum is generated": with_table(generated_columns=["sum"]),
    "decoder wal2json": replace(READY, slot=replace(SLOT, plugin="wal2json")),
    "has lost WAL": replace(READY, slot=replace(SLOT, wal_status="lost")),
    "512 bytes are left": replace(READY, slot=replace(SLOT, wal_status="unreserved", safe_wal_bytes=512)),
}


def test_a_source_that_is_ready_has_no_findings() -> None:
    assert findings(READY, CAPTURE) == []
    assert findings(replace(READY, slot=None), CAPTURE) == []


@pytest.mark.parametrize("words", BROKEN)
def test_a_broken_precondition_is_found_alone_with_its_remedy(words: str) -> None:
    (finding,) = findings(BROKEN[words], CAPTURE)
    assert words in finding.problem
    assert finding.remedy


def test_an_excluded_column_breaks_nothing() -> None:
    source = with_table(generated_columns=["sum"])
    excluding = CONFIGURATION.with_settings({"column.exclude.list": "public.orders.sum"})
    assert findings(source, replace(CAPTURE, connector=excluding)) == []


def test_a_generated_column_is_published_where_postgresql_can() -> None:
    (stored,) = findings(with_table(generated_columns=["sum"], publishable_columns=["sum"]), CAPTURE)
    (virtual,) = findings(with_table(generated_columns=["sum"]), CAPTURE)
    assert stored.remedy == 'ALTER PUBLICATION "readmodels" SET (publish_generated_columns = stored);'
    assert virtual.remedy == "Take sum out of the columns of public.orders in readmodels.toml."


def test_a_column_that_no_model_holds_breaks_nothing() -> None:
    source = with_table(generated_columns=["added"])
    assert findings(source, CAPTURE) == []


LOSES_NOTHING = {"may not use the schema", "may not read", "row level security", "readmodels.signal"}


@pytest.mark.parametrize("words", BROKEN)
def test_only_what_leaves_changes_out_or_spoils_them_is_a_gap(words: str) -> None:
    is_gap = bool(gaps(BROKEN[words], CAPTURE))
    is_of_server = any(part in words for part in ("wal_level", "encoding", "decoder", "lost WAL", "512 bytes"))
    assert is_gap is not (is_of_server or any(part in words for part in LOSES_NOTHING))

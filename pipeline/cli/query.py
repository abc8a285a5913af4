"""`sql`: questions to DuckDB."""

from __future__ import annotations

import csv
import sys
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import pyarrow as pa
import typer
from rich.table import Table

from pipeline.cli.context import of, out, print_json
from pipeline.sql import ask


class Format(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def sql(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="One SELECT statement.")],
    form: Annotated[Format, typer.Option("--format", help="How to print the answer.")] = Format.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects; short for --format json.")] = False,
) -> None:
    """Ask DuckDB, whether or not a worker is writing it.

    Tables: orders, order_items, and orders_history, order_items_history with every version. Writes are refused.

    Example: readmodels sql "SELECT status, count(*), sum(total) FROM orders GROUP BY ALL"
    """
    answer = ask(of(context).settings(), query)
    _PRINTERS[Format.JSON if as_json else form](answer)


def _as_table(answer: pa.Table) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in answer.schema:
        numeric = (
            pa.types.is_integer(column.type) or pa.types.is_decimal(column.type) or pa.types.is_floating(column.type)
        )
        table.add_column(column.name, justify="right" if numeric else "left")
    for row in _rows(answer):
        table.add_row(*("NULL" if value is None else str(value) for value in row.values()))
    out.print(table)


def _as_csv(answer: pa.Table) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.column_names)
    writer.writerows(row.values() for row in _rows(answer))


def _as_json(answer: pa.Table) -> None:
    print_json(_rows(answer))


_PRINTERS = {Format.TABLE: _as_table, Format.CSV: _as_csv, Format.JSON: _as_json}


def _rows(answer: pa.Table) -> list[dict[str, Any]]:
    """Rows as plain values: decimals and timestamps as the exact text that documents have."""
    exact = pa.table(
        {
            name: _text(answer[name]) if _needs_text(answer.schema.field(name).type) else answer[name]
            for name in answer.column_names
        }
    )
    return [{name: _plain(value) for name, value in row.items()} for row in exact.to_pylist()]


def _needs_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind))


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    zone = "Z" if column.type.tz else ""
    micros = column.cast(pa.timestamp("us", column.type.tz))
    return pa.compute.strftime(micros.cast(pa.timestamp("us")), format=f"%Y-%m-%dT%H:%M:%S{zone}")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value

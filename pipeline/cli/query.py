"""`sql`: questions to DuckDB."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import orjson
import pyarrow as pa
import typer
from rich.table import Table
from rich.text import Text

from pipeline.cli.context import of, out, print_json
from pipeline.json_text import values
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
        table.add_column(Text(column.name), justify="right" if numeric else "left")
    for row in _rows(answer):
        # As plain text: a value may look like markup.
        table.add_row(*(Text("NULL" if value is None else str(value)) for value in row.values()))
    out.print(table)


def _as_csv(answer: pa.Table) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.column_names)
    writer.writerows(row.values() for row in _rows(answer))


def _as_json(answer: pa.Table) -> None:
    print_json(_rows(answer))


_PRINTERS = {Format.TABLE: _as_table, Format.CSV: _as_csv, Format.JSON: _as_json}


def _rows(answer: pa.Table) -> list[dict[str, Any]]:
    """Rows as plain values, written as documents have them: exact, also where Python has no such date or number."""
    columns = [_plain(column) for column in answer.columns]
    names = _told_apart(answer.column_names)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _told_apart(names: Sequence[str]) -> list[str]:
    """The second `id` of a join becomes `id_1`."""
    earlier = [names[:at].count(name) for at, name in enumerate(names)]
    return [f"{name}_{count}" if count else name for name, count in zip(names, earlier, strict=True)]


def _plain(column: pa.ChunkedArray) -> list[Any]:
    if _is_written_as_text(column.type):
        texts = values(column.combine_chunks(), "").to_pylist()
        return [None if text is None else orjson.loads(text) for text in texts]
    return [str(value) if isinstance(value, Decimal) else value for value in column.to_pylist()]


def _is_written_as_text(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind):
        return _is_written_as_text(kind.value_type)
    is_instant = pa.types.is_timestamp(kind) and kind.unit == "us"
    is_clock = pa.types.is_time(kind) or pa.types.is_date(kind)
    return bool(is_instant or is_clock or pa.types.is_binary(kind) or pa.types.is_floating(kind))

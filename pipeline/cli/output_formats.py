"""Output formats for results of DuckDB."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.ingest.json_text import values_to_json
from pipeline.query.query import JSON_MARK
from pipeline.terminal_text import on_one_line

_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
_FORMULA = r"\A[=+\-@\t\r]"


class OutputFormat(StrEnum):
    """Output format of a query result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    ARROW = "arrow"

    @property
    def is_binary(self) -> bool:
        """True if the format is unsuitable for a terminal."""
        return self in (OutputFormat.PARQUET, OutputFormat.ARROW)


class FormatCannotHold(ValueError):
    """The file format has no type for some columns of the result."""

    def __init__(self, form: str, columns: Sequence[str]) -> None:
        super().__init__(f"{form} has no type for {', '.join(columns)}")
        casts = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in map(_quoted, columns))
        self.remedy = f"Select {casts} in the query, or write another format: --format csv or --format arrow."


def without_formulas(rows: pa.Table) -> pa.Table:
    """Put an apostrophe before texts that a spreadsheet would run as formulas, and before such column names.

    Source: https://owasp.org/www-community/attacks/CSV_Injection
    """
    columns = [
        pc.replace_substring_regex(column, _FORMULA, r"'\0") if pa.types.is_string(column.type) else column
        for column in rows.columns
    ]
    names = [f"'{name}" if name.startswith(_FORMULA_SIGNS) else name for name in rows.column_names]
    return pa.table(columns, names=names)


def written(rows: pa.Table, form: OutputFormat, width: int) -> bytes:
    """Serialize a result in one of the formats, as UTF-8 if it is text.

    Args:
        width: maximum number of characters in a line of a table.

    Raises:
        FormatCannotHold: the format has no type for a column.
    """
    return _WRITERS[form](rows, width)


def _table(rows: pa.Table, width: int) -> bytes:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in rows.schema:
        numeric = (
            pa.types.is_integer(column.type) or pa.types.is_decimal(column.type) or pa.types.is_floating(column.type)
        )
        table.add_column(Text(on_one_line(column.name)), justify="right" if numeric else "left", overflow="fold")
    for row in _rows(rows):
        # Use plain text because a value may look like markup.
        table.add_row(*(Text("NULL" if value is None else on_one_line(str(value))) for value in row.values()))
    text = io.StringIO()
    Console(file=text, width=width, highlight=False).print(table)
    return text.getvalue().encode()


def _csv(rows: pa.Table, _width: int) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows.column_names)
    writer.writerows(row.values() for row in _rows(rows))
    return text.getvalue().encode()


def _json(rows: pa.Table, _width: int) -> bytes:
    plain = [
        _embedded(values) if field.metadata == JSON_MARK else values
        for field, values in zip(rows.schema, map(_plain, rows.columns), strict=True)
    ]
    return orjson.dumps(_named(rows, plain), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE, default=str)


def _parquet(rows: pa.Table, _width: int) -> bytes:
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(rows.rename_columns(_deduplicate_names(rows.column_names)), sink)
    except pa.ArrowNotImplementedError as error:
        raise FormatCannotHold(
            "Parquet", [column.name for column in rows.schema if not _has_parquet(column)]
        ) from error
    return bytes(sink.getvalue())


def _has_parquet(column: pa.Field) -> bool:
    try:
        pq.write_table(pa.schema([column]).empty_table(), pa.BufferOutputStream())
    except pa.ArrowNotImplementedError:
        return False
    return True


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _arrow(rows: pa.Table, _width: int) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


_WRITERS: dict[OutputFormat, Callable[[pa.Table, int], bytes]] = {
    OutputFormat.TABLE: _table,
    OutputFormat.CSV: _csv,
    OutputFormat.JSON: _json,
    OutputFormat.PARQUET: _parquet,
    OutputFormat.ARROW: _arrow,
}


def _rows(rows: pa.Table) -> list[dict[str, Any]]:
    """Return rows as plain values in the form of documents, so that values outside Python's types are exact."""
    return _named(rows, [_plain(column) for column in rows.columns])


def _named(rows: pa.Table, columns: list[list[Any]]) -> list[dict[str, Any]]:
    names = _deduplicate_names(rows.column_names)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _embedded(values: list[Any]) -> list[Any]:
    """Replace texts by the JSON that they are, digit by digit."""
    if any(isinstance(value, list) for value in values):
        return [None if value is None else _embedded(value) for value in values]
    return [None if value is None else orjson.Fragment(value) for value in values]


def _deduplicate_names(names: Sequence[str]) -> list[str]:
    """Rename duplicate columns: the second `id` of a join becomes `id_1`."""
    earlier = [names[:at].count(name) for at, name in enumerate(names)]
    return [f"{name}_{count}" if count else name for name, count in zip(names, earlier, strict=True)]


def _plain(column: pa.ChunkedArray) -> list[Any]:
    if _is_written_as_text(column.type):
        texts = values_to_json(column.combine_chunks(), "").to_pylist()
        return [None if text is None else orjson.loads(text) for text in texts]
    return [str(value) if isinstance(value, Decimal) else value for value in column.to_pylist()]


def _is_written_as_text(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind):
        return _is_written_as_text(kind.value_type)
    is_instant = pa.types.is_timestamp(kind) and kind.unit == "us"
    is_clock = pa.types.is_time(kind) or pa.types.is_date(kind)
    return bool(is_instant or is_clock or pa.types.is_binary(kind) or pa.types.is_floating(kind))

"""Command `sql`: queries to DuckDB."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from pipeline.cli.context import context_of, err, out, writing
from pipeline.cli.output_formats import OutputFormat, without_formulas, written
from pipeline.cli.output_streams import UNBOUND_WIDTH, write_data
from pipeline.cli.sql_shell import Shell
from pipeline.config import Settings
from pipeline.query.freshness import EndOffsetsRequest, freshness
from pipeline.query.query import query_with_position

ENDS_WAIT_S = 0.3
"""Maximum wait for Kafka, to compute the freshness of a result that is already written."""


def sql(
    context: typer.Context,
    query: Annotated[
        str | None, typer.Argument(help="One SELECT statement; without it, a terminal opens a shell.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Read the statement from this file.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Query the state at a time, such as 2026-01-02T03:04:05Z.", metavar="TS")
    ] = None,
    form: Annotated[OutputFormat, typer.Option("--format", help="Output format.")] = OutputFormat.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="Short for --format json: an array of objects.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write the result to this file.")] = None,
    no_formulas: Annotated[
        bool,
        typer.Option("--no-formulas", help="CSV: prefix texts that spreadsheets would evaluate with an apostrophe."),
    ] = False,
) -> None:
    """Query DuckDB, whether or not a worker is writing it.

    Tables: orders, order_items; orders_history, order_items_history with every version; the views of
    docs/guides/analytics.md.
    Writes are refused. The freshness of the result is printed on standard error.

    Examples: readmodels sql "SELECT status, count(*), sum(total) FROM orders GROUP BY ALL"
    readmodels sql --as-of 2026-01-02 "FROM revenue_per_day" --format parquet --output revenue.parquet
    """
    if query is not None and file is not None:
        raise typer.BadParameter("give a statement or a file, not both", param_hint="--file")
    if query is None and file is None and not sys.stdin.isatty():
        raise typer.BadParameter("give a statement, or --file; there is no terminal to ask at", param_hint="QUERY")
    form = OutputFormat.JSON if as_json else form
    if form.is_binary and output is None:
        raise typer.BadParameter(f"{form} is written to a file: give --output", param_hint="--format")
    if no_formulas and form is not OutputFormat.CSV:
        raise typer.BadParameter("only CSV is opened by spreadsheets: add --format csv", param_hint="--no-formulas")
    settings = context_of(context).settings()
    moment = _moment(as_of, settings.duckdb.time_zone)
    tell = _teller(settings, moment, form, output, has_formulas=not no_formulas)
    statement = query if file is None else file.read_text()
    if statement is None:
        Shell(tell, lambda: _names(settings), context_of(context).home / "sql_history").run()
    else:
        tell(statement)


def _teller(
    settings: Settings, moment: datetime | None, form: OutputFormat, output: Path | None, *, has_formulas: bool
) -> Callable[[str], None]:
    """Return a function that runs one statement and prints its result."""

    def tell(statement: str) -> None:
        ends = EndOffsetsRequest(settings.kafka, settings.definitions.topics)
        found = query_with_position(settings, statement, moment)
        rows = found.rows if has_formulas else without_formulas(found.rows)
        content = written(rows, form, UNBOUND_WIDTH if output else out.width)
        if output is not None:
            with writing(output):
                output.write_bytes(content)
        else:
            write_data(content)
        if found.place is not None:
            told = freshness(found.place, ends.result(ENDS_WAIT_S), datetime.now(UTC))
            err.print(told, style="dim", markup=False, soft_wrap=True)

    return tell


def _moment(text: str | None, time_zone: str) -> datetime | None:
    """Parse a time; without a time zone, it is in the time zone of the views."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no date or time", param_hint="--as-of") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(time_zone))


def _names(settings: Settings) -> list[str]:
    """Return the names that a query may use: tables, views, macros and columns."""
    found = query_with_position(
        settings,
        """
        SELECT table_name AS name FROM information_schema.columns WHERE table_catalog = 'memory'
        UNION SELECT column_name FROM information_schema.columns WHERE table_catalog = 'memory'
        UNION SELECT function_name FROM duckdb_functions() WHERE database_name = 'memory' ORDER BY name
        """,
    )
    return [str(name) for name in found.rows["name"].to_pylist()]

"""Command `export`: DuckDB's tables and histories as Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipeline.cli.context import context_of, err, out, print_json
from pipeline.export.export import ExportResult
from pipeline.export.export import export as exports
from pipeline.export.open_target import open_target
from pipeline.export.parquet import Tell


class ExportFormat(StrEnum):
    """File format of an export."""

    PARQUET = "parquet"


def export(
    context: typer.Context,
    tables: Annotated[
        list[str], typer.Argument(metavar="TABLE…", help="Tables, or their histories, as orders_history.")
    ],
    to: Annotated[str, typer.Option(metavar="DIR|s3://BUCKET/PREFIX", help="Target; each table gets a folder in it.")],
    _form: Annotated[ExportFormat, typer.Option("--format", help="File format.")] = ExportFormat.PARQUET,
    timeout: Annotated[float, typer.Option(min=1.0, help="Maximum seconds to wait for the model.")] = 120.0,
    no_mark: Annotated[
        bool,
        typer.Option(
            "--no-mark", help="Set no watermark: export the current content; needs neither PostgreSQL nor Kafka."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array and nothing else.")] = False,
) -> None:
    """Write tables and histories as Parquet files, partitioned by day; each run adds the changes since the last one.

    For a history, new versions are added to the existing files, by the day of their commit. For a table, all rows are
    rewritten. Only files listed in manifest.json belong to the export: the manifest is replaced last, atomically, and
    gives the watermark up to which the export is complete. Repeat a run that was killed: no row is twice or missing.

    S3 takes its credentials from the usual variables: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, …

    Examples: readmodels export orders_history order_items_history --format parquet --to s3://lake/shop
    readmodels export orders --to export
    """
    settings = context_of(context).settings()
    with _told() as tell:
        found = list(exports(tables, partial(open_target, to), settings, None if no_mark else timeout, tell))
    if as_json:
        print_json([_plain(one) for one in found])
    else:
        _print(found)


@contextmanager
def _told() -> Iterator[Callable[[str], Tell]]:
    """Show a line on standard error for each table, with the rows read and the time."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:>12,.0f} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:

        def tell(name: str) -> Tell:
            line = progress.add_task(name, total=None)
            return lambda rows: progress.advance(line, rows)

        yield tell


def _plain(one: ExportResult) -> dict[str, Any]:
    manifest, extract = one.manifest, one.manifest.extract
    return {
        "table": manifest.origin.table,
        "added_rows": one.added_rows,
        "added_files": one.added,
        "removed_files": one.removed,
        "rows": manifest.rows,
        "files": len(manifest.files),
        "mark": extract.mark,
        "newest": extract.newest,
        "generation": extract.generation,
    }


def _print(found: list[ExportResult]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("table")
    for column in ("new rows", "new files", "rows", "files"):
        table.add_column(column, justify="right")
    for one in found:
        counts = (one.added_rows, one.added, one.manifest.rows, len(one.manifest.files))
        table.add_row(one.manifest.origin.table, *(f"{count:,}" for count in counts))
    out.print(table)
    extract = found[0].manifest.extract
    if extract.mark is not None:
        out.print(f"[green]complete[/] up to {extract.mark['lsn']}, where PostgreSQL was at {extract.mark['set_at']}")
    else:
        out.print(f"[dim]no watermark was set; the newest change in it was committed at {extract.newest}[/]")

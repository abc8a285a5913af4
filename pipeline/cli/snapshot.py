"""Command `snapshot`: sends the rows of a table to the log again, while changes continue."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipeline import read_models
from pipeline.cli.context import context_of, err, out
from pipeline.cli.setup import Execute
from pipeline.config import Settings
from pipeline.postgres.database import connect
from pipeline.postgres.incremental_snapshot import SnapshotProgress, SnapshotRequest
from pipeline.postgres.row_estimate import estimate_rows

HEALS_NOTHING = (
    "A snapshot sends no deletions, so it does not close a gap in the log: `readmodels verify --repair` repairs "
    "differences, and `readmodels epoch open --resnapshot` starts a new epoch if changes are missing."
)


def snapshot(
    context: typer.Context,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Name in readmodels.toml, or `schema.table`.")],
    where: Annotated[
        str | None, typer.Option("--where", help="Only rows for which this SQL condition is true.", show_default=False)
    ] = None,
    execute: Execute = False,
) -> None:
    """Request an incremental snapshot of a table: the connector sends its rows again, in chunks, while it streams.

    This adds rows that a model lacks, such as rows that were parked or lost, and does not change correct rows. It sends
    nothing about deleted rows, so it does not close a gap in the log. ^C stops it; rows already sent stay.
    """
    settings = context_of(context).settings()
    wanted = SnapshotRequest(tables=(_named(table, settings),), where=where)
    with closing(connect(settings.source.url)) as connection:
        rows = estimate_rows(connection, wanted.tables[0], where)
    condition = f" where {where}" if where else ""
    words = f"about {rows:,} rows of {wanted.tables[0]}{condition}"
    if not execute:
        out.print(
            f"would request from the connector {words}, in chunks, while it continues to stream changes", markup=False
        )
        out.print(HEALS_NOTHING)
        out.print("nothing was done; add [bold]--execute[/] to do it")
        return
    with _interrupts() as interrupted, _line(words) as tell:
        taken = read_models.incremental_snapshots(settings).run(wanted, tell, lambda: bool(interrupted))
    sent = sum((taken.rows or {}).values())
    out.print(f"[green]✓[/] {wanted.tables[0]}: {sent:,} rows are in the log once more, in {taken.elapsed_s:.1f} s")
    out.print(f"  [dim]{HEALS_NOTHING}[/]")


def _named(table: str, settings: Settings) -> str:
    source = settings.tables[table].source if table in settings.tables else table
    if source not in settings.connector.tables:
        known = ", ".join((*settings.tables, *settings.connector.tables))
        raise typer.BadParameter(f"the connector does not capture {table}; it is one of {known}")
    return source


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collect the interrupts during the block; the second one ends it at once."""
    seen: list[int] = []

    def note(number: int, _frame: object) -> None:
        if seen:
            err.print("the connector may continue the snapshot, which is harmless")
            raise KeyboardInterrupt
        seen.append(number)
        err.print("stopping the snapshot; press ^C again to exit without waiting")

    before = signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


class _Line:
    """Line on standard error with the progress."""

    def __init__(self, words: str, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task(words, state="")

    def __call__(self, told: SnapshotProgress) -> None:
        place = f", at key {told.reached} of {told.last}" if told.reached else ""
        state = f"{told.chunks} chunks{place}" if told.chunks else "requested"
        self._progress.update(self._task, state=state)


@contextmanager
def _line(words: str) -> Iterator[_Line]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[state]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        yield _Line(words, progress)

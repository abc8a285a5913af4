"""`verify`: every row of PostgreSQL against the read models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pipeline import read_models
from pipeline.cli.context import err, of, out, print_json
from pipeline.cli.work import Models
from pipeline.verify.difference import Kind
from pipeline.verify.verification import MOST_NAMED, Scope, Verdict
from pipeline.verify.verification import verify as verdicts

EXIT_DIFFERENT = 3
SHOWN_DIFFERENCES = 100


def verify(
    context: typer.Context,
    models: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, help="A quick look: so many documents, or rows of a table, by chance.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="A quick look: rows with any date or timestamp at or after this time.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds that a model may take to reach a mark.")] = 120.0,
) -> None:
    """Compare every row and document with PostgreSQL, as of one moment, while writes go on.

    Names what is missing, phantom (PostgreSQL does not hold it), stale (an older version of the row) and different, by
    key and column, and ends with exit code 3 if anything is. A quick look does not find phantoms.
    """
    scope = Scope(sample=sample, since=since, timeout_s=timeout)
    with _progress() as watcher:
        found = list(verdicts(read_models.named(models), of(context).settings(), scope, watcher))
    if as_json:
        print_json(_plain(found, scope))
    else:
        _print(found)
    if not all(verdict.is_equal for verdict in found):
        raise typer.Exit(EXIT_DIFFERENT)


class _Bars:
    """A line on standard error for PostgreSQL and for each model: what was read, how fast, what is waited for."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lines: dict[str, TaskID] = {}

    def reading(self, side: str, count: int, expected: int | None) -> None:
        line = self._line(side)
        self._progress.update(line, advance=count, total=expected, state="")
        speed = self._progress.tasks[line].speed
        self._progress.update(line, rate=f"{speed:,.0f}/s" if speed else "")

    def waiting(self, model: str, lacking_records: int) -> None:
        state = f"waiting for {lacking_records:,} records" if lacking_records else ""
        self._progress.update(self._line(model), state=state)

    def _line(self, side: str) -> TaskID:
        if side not in self._lines:
            self._lines[side] = self._progress.add_task(side, total=None, state="", rate="")
        return self._lines[side]


@contextmanager
def _progress() -> Iterator[_Bars]:
    columns = (
        TextColumn("{task.description:<13}"),
        BarColumn(),
        TextColumn("{task.completed:>12,.0f}"),
        TextColumn("{task.fields[rate]:>12}"),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        yield _Bars(progress)


def _plain(found: list[Verdict], scope: Scope) -> dict[str, Any]:
    return {
        "is_equal": all(verdict.is_equal for verdict in found),
        "is_everything": scope.is_everything,
        "models": [
            {
                "model": verdict.model,
                "is_equal": verdict.is_equal,
                "documents": verdict.documents,
                "rows": verdict.rows,
                "elapsed_s": round(verdict.elapsed_s, 3),
                "rows_per_s": round(verdict.rows_per_s),
                **{kind.value: verdict.counts[kind] for kind in Kind},
            }
            for verdict in found
        ],
        "differences": [
            {"model": verdict.model, **asdict(difference)} for verdict in found for difference in verdict.differences
        ],
    }


def _print(found: list[Verdict]) -> None:
    summary = Table(box=None, header_style="bold", pad_edge=False)
    summary.add_column("model")
    for column in ("compared", *Kind, "seconds"):
        summary.add_column(column, justify="right")
    for verdict in found:
        counts = (f"[red]{verdict.counts[kind]:,}[/]" if verdict.counts[kind] else "0" for kind in Kind)
        name = f"[bold]{verdict.model}[/]"
        summary.add_row(name, f"{verdict.documents:,}", *counts, f"{verdict.elapsed_s:.1f}")
    out.print(summary)
    for verdict in found:
        if verdict.differences:
            out.print()
            _print_differences(verdict)


def _print_differences(verdict: Verdict) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in (verdict.model, "key", "part", "column", "", "PostgreSQL", "shown"):
        table.add_column(column, overflow="fold")
    for one in verdict.differences[:SHOWN_DIFFERENCES]:
        cells = (one.subject, one.key, one.part, one.column, one.kind.value, one.expected, one.shown)
        table.add_row(*(Text(cell or "") for cell in cells))
    out.print(table)
    rest = verdict.counts.total() - min(len(verdict.differences), SHOWN_DIFFERENCES)
    if rest:
        out.print(f"[dim]and {rest:,} more; --json names up to {MOST_NAMED:,} of a model[/]")

"""Command `verify`: compares every row of PostgreSQL with the read models, and repairs differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pipeline import read_models
from pipeline.cli.context import context_of, err, out, print_json
from pipeline.cli.run import Models
from pipeline.terminal_text import on_one_line
from pipeline.verify.difference import DifferenceKind
from pipeline.verify.repair import RepairMode
from pipeline.verify.result import MAX_NAMED, Differences, RepairSummary, VerifyResult
from pipeline.verify.verify import LIVE, Scope
from pipeline.verify.verify import verify as verdicts
from sinks.rejection import REMEDY as REMEDY_OF_REJECTIONS

EXIT_DIFFERENT = 3
SHOWN_DIFFERENCES = 100
REMEDY = (
    "The remaining differences cannot be repaired by row: rebuild the model with `readmodels replay {model} --execute`."
)


def verify(
    context: typer.Context,
    models: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Compare only this number of random documents or rows per table.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Compare only rows with a date or timestamp at or after this time.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1.0, help="Maximum seconds to wait for a model.")] = 120.0,
    generation: Annotated[
        int | None, typer.Option(min=1, help="Compare this generation instead of the live one; only with one model.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Show the repair of each difference.")] = False,
    execute: Annotated[
        bool, typer.Option("--execute", help="With --repair: write the repairs and compare again.")
    ] = False,
) -> None:
    """Compare every row and document with PostgreSQL, as of one moment, while writes continue.

    Lists rows and values that are missing, phantom (PostgreSQL does not hold them), stale (an older version of the row)
    or different, by key and column, and exits with code 3 if there are any. With
    --sample or --since it does not find phantoms.

    A repair writes documents and rows as PostgreSQL holds them, as ordinary changes, while the workers run. It exits
    with code 0 if everything that it wrote is equal afterwards.
    """
    chosen = read_models.parse_names(models)
    if generation is not None and len(chosen) != 1:
        raise typer.BadParameter("a generation is one of a single model: name that", param_hint="--generation")
    if execute and not repair:
        raise typer.BadParameter("only a repair is executed: add --repair", param_hint="--execute")
    scope = Scope(sample=sample, since=since, timeout_s=timeout)
    generations = LIVE if generation is None else {chosen[0]: generation}
    mending = RepairMode(is_executed=execute) if repair else None
    with _progress() as watcher:
        found = list(verdicts(chosen, context_of(context).settings(), scope, watcher, generations, mending))
    if as_json:
        print_json(_plain(found, scope))
    else:
        _print(found)
    if not all(result.is_equal for result in found):
        raise typer.Exit(EXIT_DIFFERENT)


class _Bars:
    """Progress bars on standard error for PostgreSQL and each model: items read, rate, and records to wait for."""

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


def _plain(found: list[VerifyResult], scope: Scope) -> dict[str, Any]:
    return {
        "is_equal": all(result.is_equal for result in found),
        "is_everything": scope.is_everything,
        "models": [
            {
                "model": result.model,
                "generation": result.generation,
                "is_equal": result.is_equal,
                "documents": result.documents,
                "rows": result.rows,
                "elapsed_s": round(result.elapsed_s, 3),
                "rows_per_s": round(result.rows_per_s),
                **{kind.value: result.found.counts[kind] for kind in DifferenceKind},
                **({} if result.mended is None else {"repairs": result.mended.count}),
            }
            for result in found
        ],
        "differences": _differences({result.model: result.found for result in found}),
        **_mended({result.model: result.mended for result in found if result.mended is not None}),
    }


def _mended(mended: Mapping[str, RepairSummary]) -> dict[str, Any]:
    if not mended:
        return {}
    return {
        "is_executed": all(one.is_executed for one in mended.values()),
        "repairs": [{"model": model, **asdict(repair)} for model, one in mended.items() for repair in one.repairs],
        "remaining": _differences({model: one.remaining for model, one in mended.items()}),
    }


def _differences(found: Mapping[str, Differences]) -> list[dict[str, Any]]:
    return [{"model": model, **asdict(difference)} for model, one in found.items() for difference in one.differences]


def _print(found: list[VerifyResult]) -> None:
    summary = Table(box=None, header_style="bold", pad_edge=False)
    summary.add_column("model")
    for column in ("compared", *DifferenceKind, "seconds"):
        summary.add_column(column, justify="right")
    for result in found:
        counts = (
            f"[red]{result.found.counts[kind]:,}[/]" if result.found.counts[kind] else "0" for kind in DifferenceKind
        )
        name = f"[bold]{result.model}[/]"
        summary.add_row(name, f"{result.documents:,}", *counts, f"{result.elapsed_s:.1f}")
    out.print(summary)
    for result in found:
        _print_differences(result.model, result.found)
        if result.mended is not None:
            _print_mended(result.model, result.mended)


def _print_differences(title: str, found: Differences) -> None:
    if not found.differences:
        return
    cells = (
        (one.subject, one.key, one.part, one.column, one.kind.value, one.expected, one.shown or one.reason)
        for one in found.differences[:SHOWN_DIFFERENCES]
    )
    _print_table((title, "key", "part", "column", "", "PostgreSQL", "shown"), cells, found.counts.total())
    if found.counts[DifferenceKind.REJECTED]:
        out.print(REMEDY_OF_REJECTIONS.format(model=title.partition(",")[0]))


def _print_mended(model: str, mended: RepairSummary) -> None:
    if not mended.count:
        return
    cells = (
        (one.subject, one.key, f"{one.writes:,}", f"{one.deletes:,}", one.reason, one.withheld)
        for one in mended.repairs[:SHOWN_DIFFERENCES]
    )
    title = f"{model}, {'repaired' if mended.is_executed else 'would repair'}"
    _print_table((title, "key", "writes", "deletes", "reason", "withheld"), cells, mended.count)
    if not mended.is_executed:
        out.print("[dim]nothing was written; add --execute to write the repairs[/]")
    elif mended.remaining.counts:
        _print_differences(f"{model}, still", mended.remaining)
        if set(mended.remaining.counts) != {DifferenceKind.REJECTED}:
            out.print(f"[red]{REMEDY.format(model=model)}[/]", soft_wrap=True)
    else:
        out.print("[green]all repaired rows are equal now[/]")


def _print_table(columns: Iterable[str], cells: Iterable[Iterable[str | None]], count: int) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*(Text(on_one_line(cell or "")) for cell in row))
    out.print()
    out.print(table)
    if count > table.row_count:
        out.print(f"[dim]and {count - table.row_count:,} more; --json lists up to {MAX_NAMED:,} per model[/]")

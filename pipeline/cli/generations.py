"""Commands `generations`, `cutover`, `rollback` and `prune`: the generations, and which one is live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from pipeline import read_models
from pipeline.cli.context import context_of, out, print_json
from pipeline.cli.run import Models
from pipeline.cli.setup import Execute
from pipeline.config import Settings
from pipeline.generations.cutover import CutoverResult, cut_over, cut_over_now, drop, newest, previous, prunable
from pipeline.generations.inventory import GenerationStatus, inventory
from sinks.generation import GenerationState
from sinks.sink import Store

Generation = Annotated[
    int | None, typer.Option("--generation", "-g", min=1, help="Number of the generation; only with one model.")
]
Timeout = Annotated[float, typer.Option(min=1.0, help="Maximum seconds to wait for the generation.")]

_COLOURS = {GenerationState.LIVE: "green", GenerationState.BUILDING: "yellow", GenerationState.REJECTED: "red"}


def generations(
    context: typer.Context,
    models: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array and nothing else.")] = False,
) -> None:
    """List the generations of the read models with state, size, age and lag."""
    settings = context_of(context).settings()
    found = [one for model in read_models.parse_names(models) for one in inventory(model, settings)]
    if as_json:
        print_json([{**asdict(one), "state": one.state.value} for one in found])
    else:
        _print(found)


def cutover(
    context: typer.Context,
    models: Models = None,
    generation: Generation = None,
    execute: Execute = False,
    timeout: Timeout = 120.0,
) -> None:
    """Make another generation live, atomically for readers.

    Without --generation: the newest complete one. The cutover waits until that generation holds everything that is
    committed now, and everything that readers see now. The previous live generation is kept and stays current.
    """
    settings = context_of(context).settings()
    chosen = {model: generation or _found(newest, model, settings) for model in _named(models, generation)}
    _print_plan(chosen, "would show generation {} of {}", is_done=execute)
    for model, number in chosen.items() if execute else ():
        say_switched(cut_over(model, number, settings, lambda _: None, timeout))


def rollback(
    context: typer.Context,
    models: Models = None,
    execute: Execute = False,
    at_once: Annotated[bool, typer.Option("--at-once", help="Do not wait until the generation has caught up.")] = False,
    timeout: Timeout = 120.0,
) -> None:
    """Make the previous live generation live again. It was kept current, so nothing is lost."""
    settings = context_of(context).settings()
    chosen = {model: _found(previous, model, settings) for model in read_models.parse_names(models)}
    _print_plan(chosen, "would show generation {} of {} again", is_done=execute)
    for model, number in chosen.items() if execute else ():
        if at_once:
            say_switched(cut_over_now(model, number, settings))
        else:
            say_switched(cut_over(model, number, settings, lambda _: None, timeout))


def prune(
    context: typer.Context,
    models: Models = None,
    keep: Annotated[int, typer.Option(min=0, help="Number of previously live generations to keep.")] = 1,
    generation: Generation = None,
    execute: Execute = False,
) -> None:
    """Remove generations that are no longer needed: rejected ones, and all but the last of the previously live ones."""
    settings = context_of(context).settings()
    for model in _named(models, generation):
        with read_models.open_store(model, settings) as store:
            doomed = [generation] if generation else prunable(store.generations(), store.live(), keep)
            for number in doomed:
                if execute:
                    drop(model, number, store, settings)
                out.print(f"{model}: {'removed' if execute else 'would remove'} generation {number}")
            if not doomed:
                out.print(f"{model}: nothing to remove")
    if not execute:
        _print_dry_run_hint()


def say_switched(switched: CutoverResult) -> None:
    """Print which generation is live now, and the command that reverts the cutover."""
    if switched.before == switched.now:
        out.print(f"[dim]=[/] generation {switched.now} of {switched.model} was live already")
        return
    if switched.before is None:
        out.print(f"[green]✓[/] generation {switched.now} of {switched.model} is live")
        return
    out.print(f"[green]✓[/] generation {switched.now} of {switched.model} is live; {switched.before} is kept current")
    out.print(f"  [dim]to revert: readmodels rollback {switched.model} --execute[/]")


def _named(models: list[str] | None, generation: int | None) -> list[str]:
    chosen = read_models.parse_names(models)
    if generation is not None and len(chosen) != 1:
        raise typer.BadParameter("--generation goes with exactly one model")
    return chosen


def _found(find: Callable[[str, Store], int], model: str, settings: Settings) -> int:
    with read_models.open_store(model, settings) as store:
        return find(model, store)


def _print_plan(chosen: Mapping[str, int], words: str, *, is_done: bool) -> None:
    if not is_done:
        for model, number in chosen.items():
            out.print(words.format(number, model))
        _print_dry_run_hint()


def _print_dry_run_hint() -> None:
    out.print("nothing was done; add [bold]--execute[/] to do it")


def _print(found: list[GenerationStatus]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("model", "generation", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("size", "progress", "lag", "age", "live since"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in found:
        colour = _COLOURS.get(one.state, "default")
        table.add_row(
            f"[bold]{one.model}[/]",
            str(one.generation),
            f"[{colour}]{one.state}[/]",
            decimal(one.size_bytes),
            f"{one.progress:.1%}",
            f"{one.lag_records:,}",
            _age(one.created_at),
            _age(one.shown_at) if one.is_live else "-",
        )
    out.print(table)
    for one in found:
        if one.problem is not None:
            out.print(f"[red]✗[/] {one.model}, generation {one.generation}: {escape(one.problem)}")
            out.print(f"  [dim]{escape(_remedy(one))}[/]", soft_wrap=True)


def _remedy(one: GenerationStatus) -> str:
    if one.is_live:
        return f"Run `readmodels replay {one.model} --execute`, which builds a new generation from the log."
    return f"Run `readmodels prune {one.model} --generation {one.generation} --execute`: readers do not see it."


def _age(since: datetime | None) -> str:
    if since is None:
        return "-"
    seconds = int((datetime.now(UTC) - since).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"

"""`replay`: a read model built anew from the log."""

from __future__ import annotations

import os
from contextlib import nullcontext
from functools import partial
from typing import Annotated

import typer

from pipeline import read_models
from pipeline.cli.context import Context, out
from pipeline.cli.context import of as context_of
from pipeline.cli.generations import say_switched
from pipeline.cli.replay_view import Events, bars, plain_outcome, say_outcome
from pipeline.cli.setup import Execute
from pipeline.cli.verify import EXIT_DIFFERENT
from pipeline.cli.work import builder_command
from pipeline.config import Settings
from pipeline.rebuild.replay import Outcome, Replay, Wanted


def replay(
    context: typer.Context,
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Read models; `all` is every one.")],
    execute: Execute = False,
    is_unverified: Annotated[
        bool, typer.Option("--no-verify", help="Do not compare it with PostgreSQL before readers see it.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Stop before the cutover; `readmodels cutover` shows it later.")
    ] = False,
    start_over: Annotated[
        bool, typer.Option("--start-over", help="Drop what an earlier replay left, instead of going on with it.")
    ] = False,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes that read the log; one per core.")] = None,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds that it may take to reach a mark.")] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print an event a line as JSON and nothing else.")] = False,
) -> None:
    """Build a read model anew from offset zero, beside the live one; prove it equal; show it in one step.

    Without --execute: say whether it can be done, and what it would take. Nobody notices a replay: `run` goes on,
    readers see the live generation until the new one holds all of the log and equals PostgreSQL row by row, and the
    old one is kept current, so that `rollback` loses nothing. Interrupted at any moment, it goes on where it was.
    """
    chosen = read_models.named(models)
    settings = context_of(context).settings()
    for model in chosen if execute else ():
        wanted = Wanted(
            model=model,
            is_verified=not is_unverified,
            is_cut_over=not keep,
            starts_over=start_over,
            processes=processes or os.cpu_count() or 1,
            timeout_s=timeout,
        )
        outcome = _replayed(context_of(context), settings, wanted, as_json=as_json)
        if not outcome.is_equal:
            raise typer.Exit(EXIT_DIFFERENT)


def _replayed(context: Context, settings: Settings, wanted: Wanted, *, as_json: bool) -> Outcome:
    events = Events(wanted.model)
    with nullcontext(events) if as_json else bars(wanted.model) as watcher:
        command = partial(builder_command, context, wanted.model)
        outcome = Replay(settings, wanted, command, context.home / "log", watcher).run()
    if as_json:
        events.tell("done", plain_outcome(outcome))
    else:
        say_outcome(wanted.model, outcome)
        if outcome.switched is not None:
            say_switched(outcome.switched)
        elif outcome.is_equal:
            out.print(f"  [dim]show it: readmodels cutover {wanted.model} --execute[/]")
    return outcome

"""Commands `init` and `teardown`: all parts between the source tables and the read models."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from pipeline.cli.context import context_of, err, out, print_error
from pipeline.setup.generations import first_generation_steps
from pipeline.setup.snapshots import complete_snapshots
from pipeline.setup.source import UNCHANGED, SetupStep, deployment_of, init_steps, run_steps
from pipeline.teardown.teardown import Teardown, find_teardown

Execute = Annotated[bool, typer.Option("--execute", help="Do it; without this, only show what would be done.")]


class TeardownIncomplete(Exception):
    """Parts of the deployment still exist, or may exist."""

    remedy = (
        "Do what is said above, then run `readmodels teardown --execute` again: it removes the rest, and what is gone "
        "by then does not matter."
    )


def init(context: typer.Context) -> None:
    """Set up source, topics, connector and the first generation of every read model.

    May be repeated at any time: existing parts are checked and not changed.
    """
    settings = context_of(context).settings()
    snapshots = SetupStep("snapshots", lambda: complete_snapshots(settings, _say_reading))
    run_steps([*init_steps(deployment_of(settings)), *first_generation_steps(settings), snapshots], report)
    out.print("ready; next: [bold]readmodels run[/]")


def teardown(
    context: typer.Context,
    execute: Execute = False,
    with_tables: Annotated[bool, typer.Option("--with-tables", help="Drop the orders themselves too.")] = False,
) -> None:
    """Remove connector, replication slot, publication, topics and read models.

    Existing parts are found by the metadata of the generations and the settings that Kafka Connect stores, independent
    of readmodels.toml. A replication slot without a reader keeps the source's WAL until its disk is full: tear down
    what you no longer use.
    """
    found = find_teardown(context_of(context).settings(), with_tables=with_tables)
    if execute:
        failed = found.carry_out(report)
        _print_left(found)
        for problem in failed:
            print_error(problem)
        if failed:
            raise TeardownIncomplete(f"{len(failed)} parts could not be looked at or removed; they are named above")
        return
    _print_found(found)
    _print_left(found)
    for problem in found.unseen:
        print_error(problem)
    out.print("nothing was done; add [bold]--execute[/] to do it")
    if found.unseen:
        raise TeardownIncomplete(f"{len(found.unseen)} places could not be looked at; they are named above")


def _print_found(found: Teardown) -> None:
    named = [(area.name, one.name) for area in found.areas for one in area.found]
    out.print("would remove:" if named else "would remove nothing: nothing was found")
    for area, name in named:
        out.print(f"  {area:<38} {escape(name)}", soft_wrap=True)


def _print_left(found: Teardown) -> None:
    for area in found.areas:
        for one in area.left:
            out.print(f"[yellow]![/] {escape(one.problem)}\n  [dim]{escape(one.remedy)}[/]", soft_wrap=True)


def _say_reading(table: str) -> None:
    err.print(f"[dim]the connector reads {escape(table)}, which no snapshot has read…[/]")


def report(name: str, outcome: str) -> None:
    """Print the outcome of a step."""
    sign = "[dim]=[/]" if outcome == UNCHANGED else "[green]✓[/]"
    out.print(f"{sign} {name:<40} [dim]{escape(outcome)}[/]")

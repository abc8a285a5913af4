"""`init` and `teardown`: everything between the orders and the read models."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from pipeline import setup
from pipeline.cli.context import err, of, out
from pipeline.config import Settings
from pipeline.generations import drop_steps, first_generation_steps
from pipeline.setup import UNCHANGED, Step, carry_out
from pipeline.snapshots import complete_snapshots

Execute = Annotated[bool, typer.Option("--execute", help="Do it; without this, only show what would be done.")]


def init(context: typer.Context) -> None:
    """Set up source, topics, connector and the first generation of every read model.

    May be repeated at any time: what is there already is checked and left as it is.
    """
    settings = of(context).settings()
    snapshots = Step("snapshots", lambda: complete_snapshots(settings, _say_reading))
    carry_out([*setup.init_steps(settings.deployment), *first_generation_steps(settings), snapshots], report)
    out.print("ready; next: [bold]readmodels run[/]")


def teardown(
    context: typer.Context,
    execute: Execute = False,
    with_tables: Annotated[bool, typer.Option("--with-tables", help="Drop the orders themselves too.")] = False,
) -> None:
    """Remove connector, replication slot, publication, topics and read models.

    A replication slot that nobody reads keeps the source's WAL until its disk is full: tear down what you leave.
    """
    settings = of(context).settings()
    steps = _teardown_steps(settings, with_tables)
    if not execute:
        out.print("would remove: " + ", ".join(step.name for step in steps))
        out.print("nothing was done; add [bold]--execute[/] to do it")
        return
    carry_out(steps, report)


def _teardown_steps(settings: Settings, with_tables: bool) -> list[Step]:
    steps = [*drop_steps(settings), *setup.teardown_steps(settings.deployment)]
    return [*steps, setup.drop_tables_step(settings.source)] if with_tables else steps


def _say_reading(table: str) -> None:
    err.print(f"[dim]the connector reads {escape(table)}, which no snapshot has read…[/]")


def report(name: str, outcome: str) -> None:
    """Say what a step has done."""
    sign = "[dim]=[/]" if outcome == UNCHANGED else "[green]✓[/]"
    out.print(f"{sign} {name:<40} [dim]{escape(outcome)}[/]")

"""Commands `init` and `teardown`: all parts between the source tables and the read models."""

from __future__ import annotations

from textwrap import indent
from typing import Annotated

import typer
from rich.markup import escape

from pipeline.cli.context import Context, context_of, err, out, print_error
from pipeline.cli.output_streams import write_data
from pipeline.config import Settings
from pipeline.setup.generations import first_generation_steps
from pipeline.setup.snapshots import complete_snapshots
from pipeline.setup.source import UNCHANGED, SetupStep, deployment_of, init_steps, run_steps
from pipeline.setup.source_plan import SourcePlan, plan_source, script
from pipeline.teardown.teardown import Teardown, find_teardown

Execute = Annotated[bool, typer.Option("--execute", help="Do it; without this, only show what would be done.")]


class TeardownIncomplete(Exception):
    """Parts of the deployment still exist, or may exist."""

    remedy = (
        "Do what is said above, then run `readmodels teardown --execute` again: it removes the rest, and what is gone "
        "by then does not matter."
    )


def init(
    context: typer.Context,
    execute: Annotated[
        bool, typer.Option("--execute", help="Run the statements that the source needs; without this, show them.")
    ] = False,
    print_sql: Annotated[
        bool, typer.Option("--print-sql", help="Print these statements for a DBA, and nothing else.")
    ] = False,
) -> None:
    """Set up source, topics, connector and the first generation of every read model.

    Nothing in your database is changed before you have seen it: without --execute, the statements that the source needs
    are shown, each with its reason, and nothing is done. The local stack's own database is set up at once. Parts that
    exist are checked, so the command may be repeated at any time.
    """
    settings = context_of(context).settings()
    deployment = deployment_of(settings)
    deployment.connector.validate(is_double_accepted=deployment.is_double_accepted)
    plan = plan_source(deployment.source, deployment.capture)
    if print_sql:
        write_data(script(plan).encode())
        plan.require_possible()
        return
    if plan.statements and not (execute or _is_local(context_of(context), settings)):
        _print_plan(plan)
        plan.require_possible()
        out.print("nothing was done; add [bold]--execute[/] to run these statements, or [bold]--print-sql[/] for a DBA")
        return
    snapshots = SetupStep("snapshots", lambda: complete_snapshots(settings, _say_reading))
    run_steps([*init_steps(deployment, plan), *first_generation_steps(settings), snapshots], report)
    out.print("ready; next: [bold]readmodels run[/]")


def _is_local(context: Context, settings: Settings) -> bool:
    """Return whether the source is the local stack's own database, which is there to be set up."""
    return context.endpoints is not None and settings.source.url == context.endpoints.postgres


def _print_plan(plan: SourcePlan) -> None:
    out.print("the source needs:")
    for number, statement in enumerate(plan.statements, 1):
        out.print(
            f"\n[bold]{number}[/]  {escape(statement.reason)}  [dim]as {statement.executor.value}[/]", soft_wrap=True
        )
        out.print(indent(statement.text, "   "), markup=False, soft_wrap=True)
    out.print()


def teardown(
    context: typer.Context,
    execute: Execute = False,
    with_tables: Annotated[
        bool, typer.Option("--with-tables", help="Drop the example's tables too, if `demo` created them.")
    ] = False,
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

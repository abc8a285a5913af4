"""Command `demo`: the path of a change through all parts, on the local stack, in two minutes."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline import logging
from pipeline.cli.context import context_of, out
from pipeline.cli.run import worker_command
from pipeline.cli.setup import init
from pipeline.cli.stack import up
from pipeline.demo.tables import create_tables
from pipeline.postgres.database import connect
from pipeline.runtime.supervisor import Supervisor


def demo(
    context: typer.Context,
    seconds: Annotated[float, typer.Option(min=1, help="Duration of the load.")] = 30.0,
    rate: Annotated[float, typer.Option(min=1, help="Orders per second.")] = 300.0,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only create the example's tables in the source, if they are missing.")
    ] = False,
) -> None:
    """Run the whole example: start the stack, set up, place orders, watch three read models follow.

    Orders are placed, changed, moved and deleted for half a minute while the workers run; then one order is shown side
    by side in PostgreSQL and all three models, with the time from commit to visible, and the counts compared. The
    local stack stays up afterwards; `readmodels down` stops it.
    """
    if prepare:
        with connect(context_of(context).settings().source.url) as connection:
            create_tables(connection)
        out.print("the tables public.orders and public.order_items are there")
        return
    from pipeline.cli.demo_screen import run_demo

    out.rule("[bold]1  the local stack")
    up(context)
    out.rule("[bold]2  source, connector, read models")
    init(context, execute=True)
    out.rule(f"[bold]3  {rate:g} orders a second for {seconds:g} s, with updates, moves and deletes")
    log_file = context_of(context).home / "log" / "workers.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    out.print(f"[dim]the workers log to {log_file}[/]")
    with log_file.open("a") as words:
        logging.configure(words)
        workers = Supervisor(lambda model: worker_command(context_of(context), model), log_file)
        run_demo(context_of(context).settings(), workers, seconds, rate)

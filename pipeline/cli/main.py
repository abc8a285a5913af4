"""The command `readmodels`."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from pipeline import logging
from pipeline.cli import demo, export, generations, local, look, query, replay, report, setup, verify, work
from pipeline.cli.context import Context, complain
from pipeline.read_models import UnknownModel

app = typer.Typer(
    name="readmodels",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Keep Elasticsearch, Redis and DuckDB in sync with PostgreSQL, from Debezium's change log.

    On a fresh machine: [bold]up[/], [bold]init[/], [bold]run[/]; or all of it at once: [bold]demo[/].
    """,
)
for verb in (
    demo.demo,
    local.up,
    local.down,
    setup.init,
    work.run,
    look.status,
    verify.verify,
    replay.replay,
    generations.generations,
    generations.cutover,
    generations.rollback,
    generations.prune,
    query.sql,
    report.report,
    export.export,
    work.pause,
    work.resume,
    setup.teardown,
):
    app.command()(verb)
app.command(hidden=True)(work.work)
app.add_typer(look.config, name="config")


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(version("cdc-read-models"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[Path, typer.Option(help="The description of the read models.")] = Path("readmodels.toml"),
    home: Annotated[Path, typer.Option(help="Where the local stack keeps its state.")] = Path(".readmodels"),
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that come before the verb."""
    context.obj = Context(config, home)


def main() -> None:
    """Run one verb. Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 verify found a difference."""
    logging.configure()
    try:
        app(prog_name="readmodels")
    except UnknownModel as error:
        complain(error)
        sys.exit(2)
    except Exception as error:  # noqa: BLE001 - an error's type says what happened, its remedy what to do
        complain(error)
        sys.exit(1)

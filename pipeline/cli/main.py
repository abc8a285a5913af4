"""Entry point of the command `readmodels`."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from pipeline import logging
from pipeline.cli.commands import CommandGroup
from pipeline.cli.context import Context, print_error
from pipeline.cli.output_streams import EXIT_NOBODY_READS, Readers, prepare
from pipeline.read_models import UnknownModel

WRITES_FOR_OTHERS = {"export", "report", "sql"}
"""Commands whose files get the mode of the user's umask. Files of the others contain rows and are private."""

app = typer.Typer(
    name="readmodels",
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Keep Elasticsearch, Redis and DuckDB in sync with PostgreSQL, from Debezium's change log.

    Your database's tables become read models in three commands:

    \b
      readmodels introspect 'sales.*' --output readmodels.toml
      readmodels init --execute
      readmodels run

    [bold]demo[/] shows all of it on this machine, with orders of its own; [bold]up[/] only starts the servers.
    """,
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(version("cdc-read-models"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[Path, typer.Option(help="Config file.")] = Path("readmodels.toml"),
    home: Annotated[Path, typer.Option(help="Folder of the local stack's state.")] = Path(".readmodels"),
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set the options that precede the command."""
    if context.invoked_subcommand not in WRITES_FOR_OTHERS:
        os.umask(0o077)
    context.obj = Context(config, home)


def main() -> None:
    """Run one command. Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 verify found a difference."""
    prepare()
    logging.configure()
    readers = Readers()
    code = _run(readers)
    if readers.are_gone():
        readers.leave()
        code = EXIT_NOBODY_READS
    sys.exit(code)


def _run(readers: Readers) -> int:
    """Run one command, and print its error if it fails."""
    try:
        app(prog_name="readmodels")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except UnknownModel as error:
        print_error(error)
        return 2
    except BrokenPipeError as error:
        if not readers.are_gone():
            print_error(error)
        return 1
    except Exception as error:  # noqa: BLE001 - an error's type says what happened, its remedy what to do
        print_error(error)
        return 1
    return 0

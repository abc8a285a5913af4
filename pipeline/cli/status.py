"""Commands `status` and `config show`."""

from __future__ import annotations

import time
from typing import Annotated

import orjson
import typer
from rich.live import Live

from pipeline import read_models
from pipeline.cli.context import context_of, out, print_json
from pipeline.cli.status_view import status_view
from pipeline.config import mask_secrets, to_plain
from pipeline.status import collect

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Print passwords and tokens unmasked.")]

WATCH_INTERVAL_S = 2.0

config = typer.Typer(no_args_is_help=True, add_completion=False, help="Show the effective settings.")


def status(
    context: typer.Context,
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="Read models; all by default.")
    ] = None,
    as_json: AsJson = False,
    show_secrets: ShowSecrets = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if there is any problem.")] = False,
    max_staleness: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Maximum staleness; more is a problem.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every two seconds, until ^C.")] = False,
) -> None:
    """Show connector, slot, workers, the lag of every read model, and each problem with its remedy.

    docs/operations/health.md lists the checks.
    """
    settings, chosen = context_of(context).settings(), read_models.parse_names(models)
    if watch:
        with Live(console=out, auto_refresh=False) as live:
            while True:
                live.update(status_view(collect(settings, chosen, max_staleness)), refresh=True)
                time.sleep(WATCH_INTERVAL_S)
    seen = collect(settings, chosen, max_staleness)
    if as_json:
        print_json({**seen.to_json(), "endpoints": _endpoints(context, show_secrets)})
    else:
        out.print(status_view(seen), soft_wrap=True)
    if check and not seen.is_healthy:
        raise typer.Exit(1)


@config.command("show")
def show(context: typer.Context, as_json: AsJson = False, show_secrets: ShowSecrets = False) -> None:
    """Show the effective value of every setting; secrets are masked."""
    settings = to_plain(context_of(context).settings(), show_secrets)
    if as_json:
        print_json(settings)
        return
    for name, section in settings.items():
        out.print(f"[bold]{name}[/]", end=" " if not isinstance(section, dict) else "\n")
        out.print(orjson.dumps(section, option=orjson.OPT_INDENT_2).decode(), markup=False)


def _endpoints(context: typer.Context, show_secrets: bool) -> dict[str, str] | None:
    endpoints = context_of(context).endpoints
    if endpoints is None:
        return None
    plain: dict[str, str] = orjson.loads(endpoints.to_json())
    if show_secrets:
        return plain
    return {
        name: "********" if name.endswith(("password", "token")) else mask_secrets(text) for name, text in plain.items()
    }

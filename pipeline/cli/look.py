"""`status` and `config show`: how things are."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape
from rich.table import Table

from pipeline.cli.context import of, out, print_json
from pipeline.config import masked, shown
from pipeline.status import ModelStatus, Status, look

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Print passwords and tokens as they are.")]

config = typer.Typer(no_args_is_help=True, add_completion=False, help="The settings in force.")


def status(
    context: typer.Context,
    as_json: AsJson = False,
    show_secrets: ShowSecrets = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 unless all is well.")] = False,
) -> None:
    """Show connector, replication slot, and how far every read model is behind."""
    seen = look(of(context).settings())
    if as_json:
        print_json({**seen.to_json(), "endpoints": _endpoints(context, show_secrets)})
    else:
        _print(seen)
    if check and not seen.is_healthy:
        raise typer.Exit(1)


@config.command("show")
def show(context: typer.Context, as_json: AsJson = False, show_secrets: ShowSecrets = False) -> None:
    """Show every setting with the value in force; secrets are masked."""
    settings = shown(of(context).settings(), show_secrets)
    if as_json:
        print_json(settings)
        return
    for name, section in settings.items():
        out.print(f"[bold]{name}[/]", end=" " if not isinstance(section, dict) else "\n")
        out.print(orjson.dumps(section, option=orjson.OPT_INDENT_2).decode(), markup=False)


def _endpoints(context: typer.Context, show_secrets: bool) -> dict[str, str] | None:
    endpoints = of(context).endpoints
    if endpoints is None:
        return None
    plain: dict[str, str] = orjson.loads(endpoints.to_json())
    if show_secrets:
        return plain
    return {name: "********" if name.endswith(("password", "token")) else masked(text) for name, text in plain.items()}


def _print(seen: Status) -> None:
    _print_facts("connector", seen.connector)
    _print_facts("slot", seen.slot)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("model", "generation", "kept"):
        table.add_column(column)
    for column in ("lag (records)", "stale (s)"):
        table.add_column(column, justify="right")
    for model in seen.models:
        table.add_row(*_row(model))
    out.print(table)
    for (problem, remedy), whose in _problems(seen).items():
        out.print(f"\n[red]{', '.join(whose)}: {escape(problem)}[/]")
        if remedy:
            out.print(f"remedy: {remedy}", markup=False)


def _row(model: ModelStatus) -> tuple[str, ...]:
    kept = ", ".join(str(number) for number in model.generations if number != model.generation) or "-"
    numbers = ("-" if value is None else f"{value:,}" for value in (model.lag_records, model.staleness_s))
    return (f"[bold]{model.model}[/]", str(model.generation or "-"), kept, *numbers)


def _print_facts(name: str, facts: dict[str, Any]) -> None:
    told = {key: value for key, value in facts.items() if key not in ("problem", "remedy") and value is not None}
    out.print(f"[bold]{name:<10}[/] {escape(' '.join(f'{key}={value}' for key, value in told.items()))}")


def _problems(seen: Status) -> dict[tuple[str, str | None], list[str]]:
    """Each problem with its remedy, and who has it."""
    found: dict[tuple[str, str | None], list[str]] = {}
    facts = [("connector", seen.connector), ("slot", seen.slot)]
    problems = [(name, one.get("problem"), one.get("remedy")) for name, one in facts]
    for name, problem, remedy in [*problems, *((one.model, one.problem, one.remedy) for one in seen.models)]:
        if problem:
            found.setdefault((problem, remedy), []).append(name)
    return found

"""Commands `epoch show` and `epoch open`: the epochs of the log, and how to continue after one has ended."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pipeline.cli.context import context_of, out, print_json
from pipeline.cli.setup import Execute, report
from pipeline.epochs.opening import LogState, continuation_steps, inspect_logs, require_no_workers, resnapshot_steps
from pipeline.setup.source import run_steps

epoch = typer.Typer(
    no_args_is_help=True,
    help="Show epochs, or open a new one. Workers stop if topics, slot or source no longer match the recorded epoch.",
)


@epoch.command("show")
def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array and nothing else.")] = False,
) -> None:
    """List the epochs of every generation, and how the current log differs from them. Exits with 1 if it does."""
    standing = inspect_logs(context_of(context).settings())
    if as_json:
        print_json([_plain(one) for one in standing])
    else:
        _print(standing)
    if any(one.seen for one in standing):
        raise typer.Exit(1)


@epoch.command("open")
def open_epoch(
    context: typer.Context,
    is_continued: Annotated[
        bool,
        typer.Option("--continue", help="No change was lost: continue with the existing log."),
    ] = False,
    is_resnapshot: Annotated[
        bool,
        typer.Option("--resnapshot", help="Changes may be missing: take a new snapshot and sweep stale rows."),
    ] = False,
    execute: Execute = False,
) -> None:
    """Open the next epoch after the workers have ended.

    --continue is for a log that was moved: topics that were recreated or have more partitions, to which the connector
    continued to write without a gap. Nothing is compared; run `readmodels verify` afterwards.

    --resnapshot is right in every case. The slot and the connector's offsets are dropped and created again, the
    connector takes a snapshot, and rows that it does not find are swept from the models as soon as `readmodels run` has
    read it. Readers see the models unchanged until then. Records that no worker had read are skipped: DuckDB's
    histories lack those versions.
    """
    if is_continued == is_resnapshot:
        raise typer.BadParameter("give one of --continue and --resnapshot")
    settings = context_of(context).settings()
    standing = inspect_logs(settings)
    steps = (continuation_steps if is_continued else resnapshot_steps)(standing, settings)
    _print_seen(standing)
    if not steps:
        out.print("nothing to continue: the log matches the recorded epoch of every generation")
        return
    if not execute:
        out.print("would do: " + ", ".join(step.name for step in steps))
        out.print("nothing was done; add [bold]--execute[/] to do it")
        return
    require_no_workers(standing, settings)
    run_steps(steps, report)
    out.print("next: [bold]readmodels run[/], then [bold]readmodels verify[/]")


def _plain(one: LogState) -> dict[str, Any]:
    return {
        "model": one.model,
        "generation": one.generation,
        "is_live": one.is_live,
        "epochs": [
            {**each.to_json(), "is_settled": one.epoch_history.is_settled(each.number)}
            for each in one.epoch_history.epochs
        ],
        "seen": [{"reason": seen.reason.value, "sentence": seen.sentence} for seen in one.seen],
    }


def _print(standing: list[LogState]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("model", "generation", "epoch", "kind", "since", "snapshot", "opened for"):
        table.add_column(column)
    for one in standing:
        for each in one.epoch_history.epochs:
            table.add_row(
                f"[bold]{one.model}[/]",
                f"{one.generation}{' (live)' if one.is_live else ''}",
                str(each.number),
                each.kind.value,
                f"{each.opened_at:%Y-%m-%d %H:%M:%S}",
                "snapshot complete"
                if one.epoch_history.is_settled(each.number)
                else "[yellow]snapshot not complete[/]",
                escape(each.reason) or "-",
            )
    out.print(table)
    _print_seen(standing)


def _print_seen(standing: list[LogState]) -> None:
    told: dict[str, list[str]] = {}
    for one in standing:
        for seen in one.seen:
            told.setdefault(f"{seen.reason}: {seen.sentence}", []).append(f"{one.model} {one.generation}")
    for words, of in told.items():
        out.print(f"[red]![/] {escape(words)} [dim]({', '.join(of)})[/]")

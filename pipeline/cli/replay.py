"""Command `replay`: rebuilds a read model from the log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from pipeline import logging, read_models
from pipeline.cli.context import Context, context_of, out, print_json
from pipeline.cli.generations import say_switched
from pipeline.cli.replay_plan_view import plain_plan, print_findings, print_plans, survey_line
from pipeline.cli.replay_progress import Bars, Events, bars, plain_outcome, say_outcome
from pipeline.cli.run import builder_command
from pipeline.cli.setup import Execute
from pipeline.cli.verify import EXIT_DIFFERENT
from pipeline.config import Settings
from pipeline.generations.difference_remedy import remedy_of_unequal
from pipeline.generations.rebuild import Rebuild, RebuildRequest, RebuildResult
from pipeline.generations.rebuild_plan import PlanInputs, RebuildPlan, epochs_of_log, plan_rebuild, scan_for_plan
from pipeline.generations.replay_in_place import (
    StartOffsets,
    from_datetime,
    from_offset,
    replay_in_place,
    resolve_range,
)
from pipeline.runtime.process import stop_on_signals

MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"]


def replay(
    context: typer.Context,
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Read models, or `all`.")],
    execute: Execute = False,
    is_unverified: Annotated[
        bool, typer.Option("--no-verify", help="Do not compare with PostgreSQL before the cutover.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Do not cut over; run `readmodels cutover` later.")] = False,
    start_over: Annotated[
        bool, typer.Option("--start-over", help="Do not resume an interrupted replay: drop its generation.")
    ] = False,
    snapshot: Annotated[
        bool,
        typer.Option("--snapshot", help="Rebuild from an incremental snapshot of PostgreSQL instead of the log."),
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes; by default one per core, for Elasticsearch one per two."),
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Apply the log to the live generation; rows already in it do not change.")
    ] = False,
    to_earliest: Annotated[bool, typer.Option("--to-earliest", help="Start at the earliest offset (default).")] = False,
    to_datetime: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="With --in-place: start at this time, in UTC.")
    ] = None,
    to_offset: Annotated[int | None, typer.Option(min=0, help="With --in-place: start at this offset.")] = None,
    timeout: Annotated[float, typer.Option(min=1.0, help="Maximum seconds to wait for the generation.")] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per event and nothing else.")] = False,
) -> None:
    """Rebuild a read model from offset zero beside the live generation, verify it, and make it live atomically.

    Without --execute: print whether it is possible, and what it would take. A replay does not disturb readers: `run`
    continues, readers see the live generation until the new one holds all of the log and equals PostgreSQL row by row,
    and the old one is kept current, so that `rollback` loses nothing. An interrupted replay resumes where it stopped.
    """
    chosen = read_models.parse_names(models)
    settings = context_of(context).settings()
    starts = _starts(is_earliest=to_earliest, moment=to_datetime, offset=to_offset)
    if not in_place and (to_datetime is not None or to_offset is not None):
        raise typer.BadParameter("an empty generation would be incomplete: this goes with --in-place only")
    if in_place:
        for model in chosen:
            _again(context_of(context), model, settings, starts or from_offset(0), is_executed=execute, as_json=as_json)
        return
    ground, plans = _planned(settings, chosen, is_from_snapshot=snapshot, starts_over=start_over)
    refused = [plan for plan in plans if plan.is_refused]
    if execute:
        _say_found(ground, plans, as_json=as_json)
    elif as_json:
        print_json([plain_plan(ground, plan) for plan in plans])
    else:
        print_plans(ground, plans)
        out.print("nothing was done; add [bold]--execute[/] to do it")
    if refused:
        raise typer.Exit(1)
    for plan in plans if execute else ():
        wanted = RebuildRequest(
            model=plan.model,
            range_tombstones=plan.assessment.range_tombstones,
            epochs=plan.epochs,
            earlier=ground.earlier.values,
            is_verified=not is_unverified,
            is_cut_over=not keep,
            is_from_snapshot=snapshot,
            starts_over=start_over,
            processes=processes or read_models.READ_MODELS[plan.model].default_builders,
            timeout_s=timeout,
        )
        outcome = _replayed(context_of(context), settings, wanted, plan, as_json=as_json)
        if not outcome.is_equal:
            raise typer.Exit(EXIT_DIFFERENT)


def _planned(
    settings: Settings, models: list[str], *, is_from_snapshot: bool, starts_over: bool
) -> tuple[PlanInputs, list[RebuildPlan]]:
    with survey_line() as line:
        epoch_history = epochs_of_log(models, settings)
        ground = scan_for_plan(settings, line, epoch_history, is_from_snapshot=is_from_snapshot)
    return ground, [plan_rebuild(model, settings, ground, starts_over=starts_over) for model in models]


def _say_found(ground: PlanInputs, plans: list[RebuildPlan], *, as_json: bool) -> None:
    if not as_json:
        print_findings(plans)
    for plan in plans if as_json else ():
        if plan.is_refused:
            Events(plan.model).tell("refused", plain_plan(ground, plan))


def _starts(*, is_earliest: bool, moment: datetime | None, offset: int | None) -> StartOffsets | None:
    """Return the start offsets of a replay in place; None if no option sets them."""
    if is_earliest + (moment is not None) + (offset is not None) > 1:
        raise typer.BadParameter("give one of --to-earliest, --to-datetime and --to-offset")
    if moment is not None:
        return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return from_offset(offset or 0) if is_earliest or offset is not None else None


def _again(
    context: Context, model: str, settings: Settings, starts: StartOffsets, *, is_executed: bool, as_json: bool
) -> None:
    part = resolve_range(settings, starts)
    if not is_executed:
        if as_json:
            print_json({"model": model, "offsets": part.record_count})
        else:
            out.print(f"would read {part.record_count:,} offsets once more into the live generation of {model}")
            out.print("nothing was done; add [bold]--execute[/] to do it")
        return
    until = threading.Event()
    stop_on_signals(until)
    with _watching(context, model, as_json=as_json) as watcher:
        is_whole = replay_in_place(model, settings, part, lambda seen: watcher.building(seen, part.ends), until)
    if as_json:
        Events(model).tell("done", {"is_whole": is_whole})
    elif not is_whole:
        out.print(f"[yellow]![/] {model}: interrupted; the live generation is unchanged; repeat the command to resume")
    if not is_whole:
        raise typer.Exit(1)


@contextmanager
def _watching(context: Context, model: str, *, as_json: bool) -> Iterator[Bars | Events]:
    """Show the progress, and write log messages to a file so that they do not disturb the progress bars."""
    folder = context.home / "log"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"replay-{model}.log").open("a") as words:
        logging.configure(words)
        try:
            with nullcontext(Events(model)) if as_json else bars(model) as watcher:
                yield watcher
        finally:
            logging.configure()


def _replayed(
    context: Context, settings: Settings, wanted: RebuildRequest, plan: RebuildPlan, *, as_json: bool
) -> RebuildResult:
    command = partial(builder_command, context, wanted.model)
    with _watching(context, wanted.model, as_json=as_json) as watcher:
        outcome = Rebuild(settings, wanted, command, context.home / "log", watcher).run()
    kinds = outcome.result.found.counts if outcome.result else ()
    doubtful = [finding.table for finding in plan.findings if finding.table]
    remedy = remedy_of_unequal(wanted.model, outcome.generation, kinds, doubtful, settings.tables)
    if as_json:
        Events(wanted.model).tell("done", plain_outcome(outcome, remedy))
    else:
        say_outcome(wanted.model, outcome, remedy)
        if outcome.switched is not None:
            say_switched(outcome.switched)
        elif outcome.is_equal:
            out.print(f"  [dim]to make it live: readmodels cutover {wanted.model} --execute[/]")
        if outcome.is_equal and not outcome.has_workers:
            out.print(f"  [dim]no worker keeps it current: readmodels run {wanted.model}[/]")
    return outcome

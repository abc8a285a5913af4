"""What is seen of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from pipeline.cli.context import err, out
from pipeline.generations.rebuild_plan import Ground, Plan
from pipeline.log_scan.finding import Finding
from pipeline.log_scan.scan import Survey
from pipeline.postgres.watermark import Offsets


class Line:
    """One line on standard error: how far the log has been looked through."""

    def __init__(self, progress: Progress, line: TaskID) -> None:
        self._progress = progress
        self._line = line
        self._from: int | None = None

    def surveying(self, reached: Offsets, ends: Offsets) -> None:
        done = sum(reached.values())
        self._from = done if self._from is None else self._from
        self._progress.update(self._line, completed=done - self._from, total=max(1, sum(ends.values()) - self._from))


@contextmanager
def survey_line() -> Iterator[Line]:
    """Draw it while the log is looked through."""
    columns = (
        TextColumn("looking through the log"),
        BarColumn(),
        TextColumn("{task.completed:>12,.0f}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=err, transient=True) as bars:
        yield Line(bars, bars.add_task("survey", total=None))


def print_plans(ground: Ground, plans: Sequence[Plan]) -> None:
    """Say what each replay would read and take, and whether it can be done."""
    if ground.survey is not None:
        _print_log(ground.survey)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model")
    for column in ("live", "new", "space needed", "free", "takes about"):
        table.add_column(column, justify="right")
    for plan in plans:
        new = f"{plan.where.generation}{' (goes on)' if plan.where.goes_on else ''}"
        sizes = (decimal(plan.space.needed_bytes), decimal(plan.space.free_bytes))
        takes = "not timed yet" if plan.takes_s is None else f"{plan.takes_s:,.0f} s"
        table.add_row(f"[bold]{plan.model}[/]", str(plan.live or "-"), new, *sizes, takes)
    out.print(table)
    print_findings(plans)


def print_findings(plans: Sequence[Plan]) -> None:
    """Say what stands in the way, or may do so later, each thing once."""
    told: dict[Finding, list[str]] = {}
    for plan in plans:
        for finding in plan.findings:
            told.setdefault(finding, []).append(plan.model)
    for finding in told:
        sign = "[red]✗[/]" if finding.is_fatal else "[yellow]![/]"
        out.print(f"{sign} {escape(finding.sentence)}\n  [dim]{escape(finding.remedy)}[/]")
    for plan in plans:
        if not plan.is_refused:
            fences = f", sweeping what {_counted(plan)} left behind" if plan.judgement.fences else ""
            out.print(f"[green]✓[/] {plan.model} can be rebuilt{fences}")


def _counted(plan: Plan) -> str:
    lsns = {fence.lsn for fence in plan.judgement.fences}
    return f"snapshots before LSN {', '.join(map(str, sorted(lsns)))}"


def _print_log(survey: Survey) -> None:
    out.print(
        f"[bold]log[/] {survey.records:,} records, {decimal(survey.value_bytes)}, looked through in"
        f" {survey.elapsed_s:.1f} s ({survey.records_per_s:,.0f}/s)"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("topic")
    for column in ("partition", "from", "to", "records"):
        table.add_column(column, justify="right")
    for (topic, partition), one in sorted(survey.partitions.items()):
        table.add_row(topic, str(partition), f"{one.earliest:,}", f"{one.end:,}", f"{one.records:,}")
    out.print(table)


def plain_plan(ground: Ground, plan: Plan) -> dict[str, Any]:
    """A plan as plain data."""
    survey = ground.survey
    partitions = survey.partitions if survey else {}
    return {
        "model": plan.model,
        "live": plan.live,
        "generation": plan.where.generation,
        "goes_on": plan.where.goes_on,
        "can_be_rebuilt": not plan.is_refused,
        "records": survey.records if survey else None,
        "partitions": [
            {"topic": topic, "partition": partition, "from": one.earliest, "to": one.end, "records": one.records}
            for (topic, partition), one in sorted(partitions.items())
        ],
        "snapshot_lsns": list(survey.snapshot_lsns) if survey else [],
        "schema_ids": sorted({one for ids in survey.schema_ids.values() for one in ids}) if survey else [],
        "takes_s": plan.takes_s,
        "needed_bytes": plan.space.needed_bytes,
        "free_bytes": plan.space.free_bytes,
        "fences": [fence.to_json() for fence in plan.judgement.fences],
        "findings": [
            {
                "reason": finding.reason,
                "sentence": finding.sentence,
                "is_fatal": finding.is_fatal,
                "remedy": finding.remedy,
            }
            for finding in plan.findings
        ],
    }

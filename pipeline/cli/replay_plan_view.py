"""View of a replay plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from pipeline.cli.context import err, out
from pipeline.generations.rebuild_plan import PlanInputs, RebuildPlan
from pipeline.log_scan.finding import LogFinding
from pipeline.log_scan.scan import LogScan
from sinks.batch import Offsets


class Line:
    """Line on standard error with the progress of the log scan."""

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
    """Show the line during the log scan."""
    columns = (
        TextColumn("looking through the log"),
        BarColumn(),
        TextColumn("{task.completed:>12,.0f}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=err, transient=True) as bars:
        yield Line(bars, bars.add_task("survey", total=None))


def print_plans(ground: PlanInputs, plans: Sequence[RebuildPlan]) -> None:
    """Print what each replay would read and need, and whether it is possible."""
    if ground.scan is not None:
        _print_log(ground.scan)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model")
    for column in ("live", "new", "space needed", "free", "takes about"):
        table.add_column(column, justify="right")
    for plan in plans:
        new = f"{plan.where.generation}{' (resumed)' if plan.where.is_resumed else ''}"
        sizes = (decimal(plan.space.needed_bytes), decimal(plan.space.free_bytes))
        takes = "not timed yet" if plan.takes_s is None else f"{plan.takes_s:,.0f} s"
        table.add_row(f"[bold]{plan.model}[/]", str(plan.live or "-"), new, *sizes, takes)
    out.print(table)
    print_findings(plans)


def print_findings(plans: Sequence[RebuildPlan]) -> None:
    """Print the findings that prevent a replay or may affect it later, each once."""
    told: dict[LogFinding, list[str]] = {}
    for plan in plans:
        for finding in plan.findings:
            told.setdefault(finding, []).append(plan.model)
    for finding in told:
        sign = "[red]✗[/]" if finding.is_fatal else "[yellow]![/]"
        out.print(f"{sign} {escape(finding.sentence)}\n  [dim]{escape(finding.remedy)}[/]")
    for plan in plans:
        if not plan.is_refused:
            range_tombstones = (
                f", sweeping what {_counted(plan)} left behind" if plan.assessment.range_tombstones else ""
            )
            out.print(f"[green]✓[/] {plan.model} can be rebuilt{range_tombstones}")


def _counted(plan: RebuildPlan) -> str:
    lsns = {range_tombstone.lsn for range_tombstone in plan.assessment.range_tombstones}
    return f"snapshots before LSN {', '.join(map(str, sorted(lsns)))}"


def _print_log(scan: LogScan) -> None:
    out.print(
        f"[bold]log[/] {scan.records:,} records, {decimal(scan.value_bytes)}, looked through in"
        f" {scan.elapsed_s:.1f} s ({scan.records_per_s:,.0f}/s)"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("topic")
    for column in ("partition", "from", "to", "records"):
        table.add_column(column, justify="right")
    for (topic, partition), one in sorted(scan.partitions.items()):
        table.add_row(topic, str(partition), f"{one.earliest:,}", f"{one.end:,}", f"{one.records:,}")
    out.print(table)


def plain_plan(ground: PlanInputs, plan: RebuildPlan) -> dict[str, Any]:
    """Return a plan as plain data."""
    scan = ground.scan
    partitions = scan.partitions if scan else {}
    return {
        "model": plan.model,
        "live": plan.live,
        "generation": plan.where.generation,
        "goes_on": plan.where.is_resumed,
        "can_be_rebuilt": not plan.is_refused,
        "records": scan.records if scan else None,
        "partitions": [
            {"topic": topic, "partition": partition, "from": one.earliest, "to": one.end, "records": one.records}
            for (topic, partition), one in sorted(partitions.items())
        ],
        "snapshot_lsns": list(scan.snapshot_lsns) if scan else [],
        "schema_ids": sorted({one for ids in scan.schema_ids.values() for one in ids}) if scan else [],
        "takes_s": plan.takes_s,
        "needed_bytes": plan.space.needed_bytes,
        "free_bytes": plan.space.free_bytes,
        "fences": [range_tombstone.to_json() for range_tombstone in plan.assessment.range_tombstones],
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

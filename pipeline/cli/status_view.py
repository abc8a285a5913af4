"""View of a status for a terminal: a line per part of the deployment, then each problem once with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.health.problem import Problem
from pipeline.status import ModelStatus, Status

GOOD, BAD = Text("✓", "green"), Text("✗", "bold red")
UNKNOWN = "-"


def status_view(status: Status) -> RenderableType:
    """Draw a status."""
    having = {problem.subject for problem in status.problems}
    return Group(
        _source(status, having),
        Text(),
        _models(status.models, having),
        Text(),
        *_problems(status.problems),
        *_restarts(status.models),
    )


def _source(status: Status, having: set[str]) -> Table:
    table = _table()
    for name in ("", "source", "name", "state"):
        table.add_column(name, no_wrap=True)
    for subject, facts, state in (
        ("connector", status.connector, _of_connector(status.connector)),
        ("slot", status.slot, _of_slot(status.slot)),
    ):
        table.add_row(_mark(subject, having), subject, str(facts["name"]), state)
    return table


def _of_connector(facts: Mapping[str, Any]) -> str:
    if "state" not in facts:
        return UNKNOWN
    tasks = ", ".join(f"task {number} {state}" for number, state in enumerate(facts["tasks"]))
    return f"{facts['state']}, {tasks or 'no tasks'}"


def _of_slot(facts: Mapping[str, Any]) -> str:
    if "is_active" not in facts:
        return UNKNOWN
    reader = "active" if facts["is_active"] else "inactive"
    return f"{reader}, WAL {facts['wal_status']}, {_size(facts['retained_wal_bytes'])} kept"


def _models(models: Sequence[ModelStatus], having: set[str]) -> Table:
    table = _table()
    for name in ("", "model", "generation"):
        table.add_column(name, no_wrap=True)
    for name in ("lag", "oldest"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("worker", "last batch"):
        table.add_column(name, no_wrap=True)
    # A narrow terminal cuts the last column.
    table.add_column("at", no_wrap=True, overflow="ellipsis", ratio=1)
    for model in models:
        cells: tuple[str | Text, ...] = (_mark(model.model, having), Text(model.model, "bold"), *_progress(model))
        for worker in _workers(model):
            table.add_row(*cells, *worker)
            cells = ("",) * len(cells)
    return table


def _progress(model: ModelStatus) -> tuple[str, str, str]:
    others = ", ".join(str(number) for number in model.generations if number != model.generation)
    generation = f"{model.generation or UNKNOWN}{f' (also {others})' if others else ''}"
    if model.is_building:
        generation += f" building{'' if model.progress is None else f', {model.progress:.0%}'}"
    lag = UNKNOWN if model.lag_records is None else f"{model.lag_records:,}"
    return generation, lag, UNKNOWN if model.staleness_s is None else _duration(model.staleness_s)


def _workers(model: ModelStatus) -> Iterator[tuple[Text, str, str]]:
    """Describe each worker of a model: its state, when it applied its last batch, and where it runs."""
    for worker in model.workers:
        last = worker.last
        state = Text("missing", "red") if worker.is_missing else Text(last.state, "" if worker.is_running else "red")
        applied = f"{_duration(_age_s(last.applied_at))} ago" if last.applied_at else UNKNOWN
        yield state, applied, f"{last.host}:{last.pid}"
    if not model.workers:
        yield Text("none", "red"), UNKNOWN, UNKNOWN


def _problems(problems: Sequence[Problem]) -> Iterator[RenderableType]:
    """Draw each problem once, with all parts that have it."""
    subjects: dict[tuple[str, str], list[str]] = {}
    for one in problems:
        subjects.setdefault((one.problem, one.remedy), []).append(one.subject)
    for (problem, remedy), having in subjects.items():
        yield Text.assemble(BAD, " ", (f"{', '.join(having)}: ", "bold"), problem)
        yield Text.assemble(("  remedy: ", "bold"), remedy)
    if not problems:
        yield Text.assemble(GOOD, " no problems")


def _restarts(models: Sequence[ModelStatus]) -> Iterator[RenderableType]:
    """Show the error of each worker process that ended and was replaced by the running one."""
    for model in models:
        for worker in model.workers:
            if worker.is_running and (reason := worker.last.restarted_after) is not None:
                started = f"{worker.last.started_at:%Y-%m-%d %H:%M:%S UTC}"
                yield Text.assemble((f"! {model.model}: ", "bold"), f"restarted at {started} after {reason.message}")
                yield Text.assemble(("  remedy: ", "bold"), reason.remedy)


def _table() -> Table:
    return Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))


def _mark(subject: str, having: set[str]) -> Text:
    return BAD if subject in having else GOOD


def _age_s(moment: datetime) -> float:
    return max(0.0, (datetime.now(UTC) - moment).total_seconds())


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return UNKNOWN
    for unit, length in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if size_bytes >= length:
            return f"{size_bytes / length:.1f} {unit}"
    return f"{size_bytes} bytes"

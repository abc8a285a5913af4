"""View of a status for a terminal: facts first, then every problem once, with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.health.problem import Problem
from pipeline.status import ModelStatus, Status


def status_view(status: Status) -> RenderableType:
    """Draw a status."""
    return Group(
        _facts("connector", status.connector),
        _facts("slot", status.slot),
        Text(),
        _models(status.models),
        *_problems(status.problems),
    )


def _facts(name: str, facts: Mapping[str, Any]) -> Text:
    known = " ".join(f"{key}={value}" for key, value in facts.items() if value is not None)
    return Text.assemble((f"{name:<10} ", "bold"), known)


def _models(models: Sequence[ModelStatus]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("model", "generation", "kept"):
        table.add_column(column)
    for column in ("lag (records)", "stale (s)"):
        table.add_column(column, justify="right")
    for model in models:
        kept = ", ".join(str(number) for number in model.generations if number != model.generation) or "-"
        numbers = ("-" if value is None else f"{value:,}" for value in (model.lag_records, model.staleness_s))
        table.add_row(f"[bold]{model.model}[/]", str(model.generation or "-"), kept, *numbers)
    return table


def _problems(problems: Sequence[Problem]) -> Iterator[RenderableType]:
    """Draw each problem once, with everything that has it."""
    subjects: dict[tuple[str, str], list[str]] = {}
    for one in problems:
        subjects.setdefault((one.problem, one.remedy), []).append(one.subject)
    for (problem, remedy), having in subjects.items():
        yield Text()
        yield Text(f"{', '.join(having)}: {problem}", "red")
        yield Text.assemble(("remedy: ", "bold"), remedy)
    if not problems:
        yield Text()
        yield Text("no problems", "green")

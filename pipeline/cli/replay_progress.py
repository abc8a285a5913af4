"""Progress of a replay: bars on standard error and results on standard output for people, events for scripts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import orjson
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from pipeline.cli.context import err, out
from pipeline.cli.output_streams import write_data
from pipeline.generations.rebuild import RebuildResult
from pipeline.generations.rebuild_target import RebuildTarget
from sinks.batch import Offsets
from sinks.batch import Progress as Position

MOST_LINES = 16
"""Maximum number of partitions with a line of their own; the longest partitions come first."""


class Bars:
    """Progress bars: one for the model and one per partition, redrawn in place. Results go to standard output."""

    def __init__(self, model: str, progress: Progress) -> None:
        self._model = model
        self._progress = progress
        self._total = progress.add_task(model, total=None, rate="", state="")
        self._partitions: dict[tuple[str, int], TaskID] = {}
        self._sides: dict[str, TaskID] = {}
        self._began: tuple[float, int] | None = None

    def begun(self, where: RebuildTarget) -> None:
        words = "resumes" if where.is_resumed else "starts"
        for number in where.dropped:
            out.print(f"[green]✓[/] {self._model}: dropped generation {number}, which could not be resumed")
        out.print(f"[green]✓[/] {self._model}: {words} generation {where.generation}; readers see the live one")

    def step(self, words: str) -> None:
        self._progress.update(self._total, state=words)

    def building(self, progress: Position, ends: Offsets) -> None:
        lacks = progress.lag(ends)
        done = sum(ends.values()) - sum(lacks.values())
        if self._began is None:
            self._began = (time.monotonic(), done)
            self._draw_partitions(ends)
        began_at, began_with = self._began
        elapsed_s = time.monotonic() - began_at
        rate = f"{(done - began_with) / elapsed_s:,.0f}/s" if elapsed_s > 1 else ""
        self._progress.update(self._total, total=sum(ends.values()), completed=done, rate=rate)
        for topic_partition, line in self._partitions.items():
            self._progress.update(line, completed=ends[topic_partition] - lacks.get(topic_partition, 0))
        if not lacks:
            for line in self._partitions.values():
                self._progress.remove_task(line)
            self._partitions.clear()
            read = f"{done - began_with:,} offsets in {elapsed_s:.1f} s"
            out.print(f"[green]✓[/] {self._model}: holds the log, {read}" + (f" ({rate})" if rate else ""))

    def reading(self, side: str, count: int, expected: int | None) -> None:
        if side not in self._sides:
            self._sides[side] = self._progress.add_task(f"  {side}", total=expected, rate="", state="")
        self._progress.update(self._sides[side], advance=count, total=expected)

    def waiting(self, model: str, lacking_records: int) -> None:
        words = f"{model} has {lacking_records:,} records to go" if lacking_records else ""
        self._progress.update(self._total, state=words)

    def _draw_partitions(self, ends: Offsets) -> None:
        longest = sorted(ends, key=lambda topic_partition: -ends[topic_partition])[:MOST_LINES]
        for topic, partition in sorted(longest):
            name = f"  {topic}/{partition}"
            line = self._progress.add_task(name, total=ends[topic, partition], rate="", state="")
            self._partitions[topic, partition] = line


@contextmanager
def bars(model: str) -> Iterator[Bars]:
    """Show a replay on standard error."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=28),
        TextColumn("{task.completed:>11,.0f}"),
        TextColumn("{task.fields[rate]:>11}"),
        TimeRemainingColumn(compact=True),
        TextColumn("[dim]{task.fields[state]}[/]"),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        yield Bars(model, progress)


class Events:
    """Events for scripts, as one JSON object per line on standard output; progress about once per second."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._told_at = 0.0

    def begun(self, where: RebuildTarget) -> None:
        self.tell("begun", asdict(where))

    def step(self, words: str) -> None:
        self.tell("step", {"step": words})

    def building(self, progress: Position, ends: Offsets) -> None:
        lacks = progress.lag(ends)
        if lacks and time.monotonic() < self._told_at + 1.0:
            return
        self._told_at = time.monotonic()
        places = [
            {"topic": topic, "partition": partition, "offset": progress.next_offset((topic, partition)), "end": end}
            for (topic, partition), end in sorted(ends.items())
        ]
        self.tell("building", {"lacking": sum(lacks.values()), "end": sum(ends.values()), "partitions": places})

    def reading(self, side: str, count: int, expected: int | None) -> None:
        pass

    def waiting(self, model: str, lacking_records: int) -> None:
        pass

    def tell(self, event: str, facts: Mapping[str, Any]) -> None:
        """Print one event."""
        write_data(orjson.dumps({"event": event, "model": self._model, **facts}, default=str) + b"\n")


def say_outcome(model: str, outcome: RebuildResult, remedy: str) -> None:
    """Print the result of the comparison, and the remedy if the generation differs."""
    result = outcome.result
    if result is None:
        out.print(f"[yellow]![/] {model}: generation {outcome.generation} was not compared with PostgreSQL")
    elif result.is_equal:
        compared = f"{result.documents:,} compared with PostgreSQL in {result.elapsed_s:.1f} s"
        out.print(f"[green]✓[/] {model}: generation {outcome.generation} is equal, {compared}")
    else:
        out.print(f"[red]✗[/] {model}: generation {outcome.generation} differs from PostgreSQL, and is not shown")
        out.print(f"  [dim]{escape(remedy)}[/]")


def plain_outcome(outcome: RebuildResult, remedy: str) -> dict[str, Any]:
    """Return the outcome as plain data."""
    result, switched = outcome.result, outcome.switched
    return {
        "generation": outcome.generation,
        "is_equal": None if result is None else result.is_equal,
        "differences": None if result is None else {kind.value: count for kind, count in result.found.counts.items()},
        "remedy": None if outcome.is_equal else remedy,
        "live": None if switched is None else switched.now,
        "kept": None if switched is None else switched.before,
    }

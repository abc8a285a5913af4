"""Figures of DuckDB's growth, and their output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

CHANGES_PER_LIVE_BATCH = 500


@dataclass
class Load:
    """Load of batches into the sink: versions, elapsed seconds, and processor seconds of the writes."""

    versions: int = 0
    elapsed_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def per_s(self) -> float:
        """Versions per second."""
        return self.versions / self.elapsed_s


@dataclass(frozen=True)
class File:
    """Size in bytes of a DuckDB file and of its used blocks; free blocks are reused."""

    total_bytes: int = 0
    used_bytes: int = 0


@dataclass
class Answer:
    """Query figures: rows of the result, seconds of each run, and the largest resident set during the runs."""

    rows: int = 0
    asked_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    peak_bytes: int = 0


@dataclass
class Size:
    """Figures at one size.

    Args:
        versions: of all tables.
        load: the whole load up to this size; `last` is its last million versions, or all if there are fewer.
        live_s, live_cpu_s: each write of a small batch.
        copy_s, copy_bytes: a published copy.
        file: the generation's file, after a checkpoint.
        peak_bytes: the largest resident set during the load.
    """

    versions: int = 0
    load: Load = field(default_factory=Load)
    last: Load = field(default_factory=Load)
    live_s: list[float] = field(default_factory=list)
    live_cpu_s: list[float] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    copy_s: float = 0.0
    copy_bytes: int = 0
    file: File = File()
    peak_bytes: int = 0


@dataclass
class Growth:
    """Figures of every size, of the rebuild at the last size and its file, and differences from the expected tables."""

    sizes: list[Size] = field(default_factory=list)
    rebuild: Load = field(default_factory=Load)
    rebuilt: File = File()
    rebuild_peak_bytes: int = 0
    differences: list[str] = field(default_factory=list)


def print_growth(out: Console, growth: Growth) -> None:
    """Print the figures of all sizes side by side."""
    out.print("\nDuckDB as it grows")
    table = _table("", *(f"{size.versions:,}" for size in growth.sizes))
    for name, tell in _LINES.items():
        table.add_row(name, *(tell(size) for size in growth.sizes))
    out.print(table)
    out.print(f"\nquestions of {growth.sizes[0].versions:,} and of {growth.sizes[-1].versions:,} versions")
    table = _table("", "ms", "CPU", "rows", "ms", "CPU", "rows", "MB")
    for name in growth.sizes[0].answers:
        answers = [size.answers[name] for size in growth.sizes]
        told = [one for answer in answers for one in _told(answer)]
        table.add_row(name, *told, f"{answers[-1].peak_bytes / 2**20:,.0f}")
    out.print(table)
    last, rebuild = growth.sizes[-1], growth.rebuild
    out.print(
        f"\nrebuilt: {rebuild.per_s:,.0f} versions/s, {rebuild.cpu_s / rebuild.versions * 1e6:.1f} CPU µs each;\n"
        f"{_file(growth.rebuilt)} instead of {_file(last.file)}; {_mb(growth.rebuild_peak_bytes)} resident"
    )
    for difference in growth.differences:
        out.print(f"[red]{difference}[/]")


def _told(answer: Answer) -> tuple[str, str, str]:
    return f"{median(answer.asked_s) * 1000:,.0f}", f"{median(answer.cpu_s) * 1000:,.0f}", f"{answer.rows:,}"


_LINES: dict[str, Callable[[Size], str]] = {
    "load, versions/s": lambda size: f"{size.load.per_s:,.0f}",
    "the last million": lambda size: f"{size.last.per_s:,.0f}",
    "CPU µs each": lambda size: f"{size.last.cpu_s / size.last.versions * 1e6:.1f}",
    "resident while loading": lambda size: _mb(size.peak_bytes),
    f"{CHANGES_PER_LIVE_BATCH} changes, median ms": lambda size: f"{median(size.live_s) * 1000:,.0f}",
    "CPU ms": lambda size: f"{median(size.live_cpu_s) * 1000:,.0f}",
    "the slowest ms": lambda size: f"{max(size.live_s) * 1000:,.0f}",
    "file": lambda size: _file(size.file),
    "published copy": lambda size: f"{size.copy_s:.1f} s, {_mb(size.copy_bytes)}",
}


def _file(file: File) -> str:
    return f"{_mb(file.total_bytes)}, {_mb(file.used_bytes)} used"


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.0f} MB"


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    return table


def growth_json(growth: Growth) -> dict[str, Any]:
    """Return every sample."""
    return asdict(growth)

"""Whether those who read DuckDB hold up the one that writes it.

    python -m bench.readers [--versions N] [--rounds N] [--json FILE]

The writer takes in changes, at a steady rate or as fast as it can, for ten seconds alone, then for ten seconds beside
readers, each a process of its own, and so on in turn. Three ask through Quack, once a second, what a dashboard asks.
One takes a whole table through Quack, so slowly that its answer is open all the time. A tool opens the published copy
once a second, which is written every five seconds meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.growing import Shop
from bench.growth import CHANGES_PER_BATCH, LIVE, open_store, shapes
from bench.reading import TOKEN, Place, Reading, readers
from bench.throughput import Report
from pipeline.analytics import analytics
from pipeline.config import DuckdbSettings
from sinks.duckdb_readers import Copies, serve
from sinks.duckdb_store import DuckdbStore
from stack.home import LOOPBACK, free_ports

SEGMENT_S = 10.0
STEADY_PER_S = 2_000
CHANGES_PER_BATCH_BY_PACE = {"steady": 200, "full": 5_000}
LIMIT = 0.9
"""Of the throughput without readers."""

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@dataclass
class Pace:
    """Changes a second and the slowest write of each segment, alone and beside readers, in turn."""

    alone_per_s: list[float] = field(default_factory=list)
    beside_per_s: list[float] = field(default_factory=list)
    alone_slowest_s: list[float] = field(default_factory=list)
    beside_slowest_s: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The median of what is left of the throughput beside readers."""
        pairs = zip(self.beside_per_s, self.alone_per_s, strict=True)
        return median(beside / alone for beside, alone in pairs)


@dataclass
class Contention:
    """All that was measured."""

    paces: dict[str, Pace] = field(default_factory=dict)
    readers: list[Reading] = field(default_factory=list)


def measure(versions: int, rounds: int, report: Report) -> Contention:
    """Write beside readers and alone, in turn, over a store of so many versions."""
    found = Contention({name: Pace() for name in CHANGES_PER_BATCH_BY_PACE})
    with TemporaryDirectory(prefix="readers-") as folder, closing(open_store(Path(folder) / "duckdb")) as store:
        place = Place(f"quack:{LOOPBACK}:{free_ports(1)[0]}", str(Path(folder) / "copy" / "published.duckdb"))
        writer = _Writer(store, Path(place.copy))
        report(f"loading {versions:,} versions")
        writer.load(versions)
        serve(store.instance(), place.address, TOKEN, [Path(folder)])
        writer.publish()
        with readers(place, found.readers) as reading:
            for number in range(1, rounds + 1):
                for name, pace in found.paces.items():
                    report(f"{number}/{rounds}  {name}")
                    writer.run(name, pace.alone_per_s, pace.alone_slowest_s)
                    reading.set()
                    with writer.publishing():
                        writer.run(name, pace.beside_per_s, pace.beside_slowest_s)
                    reading.clear()
    return found


class _Writer:
    def __init__(self, store: DuckdbStore, copy: Path) -> None:
        self._store = store
        self._shop = Shop()
        self._sink = store.sink(LIVE)
        self._sink.prepare()
        self._sink.cutover()
        settings = DuckdbSettings()
        tables = [shape.table for shape in shapes()]
        self._copies = Copies(copy, tables, settings.copy_every_s, analytics(settings.time_zone))

    def load(self, versions: int) -> None:
        while self._shop.versions < versions:
            self._sink.write(self._shop.batch(CHANGES_PER_BATCH))

    def publish(self) -> None:
        self._copies.publish(self._store.instance())

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Publish copies when they are due, as a worker does."""
        until = threading.Event()

        def publish() -> None:
            while not until.wait(0.5):
                self._copies.publish_if_due(self._store.instance())

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            yield
        finally:
            until.set()
            thread.join()

    def run(self, name: str, per_s: list[float], slowest_s: list[float]) -> None:
        """Write for one segment."""
        began, before, slowest = time.perf_counter(), self._shop.versions, 0.0
        while (elapsed_s := time.perf_counter() - began) < SEGMENT_S:
            ahead_s = (self._shop.versions - before) / STEADY_PER_S - elapsed_s
            if name == "steady" and ahead_s > 0:
                time.sleep(ahead_s)
            batch = self._shop.batch(CHANGES_PER_BATCH_BY_PACE[name])
            writes = time.perf_counter()
            self._sink.write(batch)
            slowest = max(slowest, time.perf_counter() - writes)
        per_s.append((self._shop.versions - before) / (time.perf_counter() - began))
        slowest_s.append(slowest)


def print_report(found: Contention) -> None:
    """Print what is left of the throughput, and what the readers met."""
    out.print(f"\nDuckDB's writer beside readers; the limit is {LIMIT:.0%} of its throughput alone")
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for column in ("alone/s", "beside/s", "share", "slowest ms", "slowest ms"):
        table.add_column(column, justify="right")
    for name, pace in found.paces.items():
        colour = "green" if pace.share >= LIMIT else "red"
        table.add_row(
            name,
            f"{median(pace.alone_per_s):,.0f}",
            f"{median(pace.beside_per_s):,.0f}",
            f"[{colour}]{pace.share:.0%}[/]",
            f"{max(pace.alone_slowest_s) * 1000:,.0f}",
            f"{max(pace.beside_slowest_s) * 1000:,.0f}",
        )
    out.print(table)
    for reader in found.readers:
        asked = f"{len(reader.answers_s)} answers, median {median(reader.answers_s) * 1000:,.0f} ms"
        out.print(f"  {reader.name}: {asked}, {len(reader.errors)} errors {reader.errors[:1] or ''}", markup=False)


def contention_json(found: Contention) -> dict[str, Any]:
    """Every sample."""
    return asdict(found)


def main(
    versions: Annotated[int, typer.Option(min=100_000, help="Versions that are there before.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured, in turn.")] = 3,
    json: Annotated[Path | None, typer.Option(help="Write every sample into this file.")] = None,
) -> None:
    """Measure readers alone."""
    facts = machine.facts()
    out.print("\n".join(f"{name:<16}{fact}" for name, fact in facts.items()))
    found = measure(versions, rounds, lambda step: err.print(f"[dim]{step}[/]"))
    print_report(found)
    if json is not None:
        content = {"machine": facts, "readers": contention_json(found)}
        json.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    raise typer.Exit(1 if any(reader.errors for reader in found.readers) else 0)


if __name__ == "__main__":
    typer.run(main)

"""Contention between the readers and the writer of DuckDB.

    python -m bench.readers [--versions N] [--rounds N] [--json FILE]

The writer applies changes, at a steady rate or as fast as it can, in segments of ten seconds: alone; beside readers;
and beside processes that do not use DuckDB, and take as much processor time as the readers do without a writer. A loss
of throughput beside readers but not beside those processes is time that the writer waits for readers. The rest of the
loss is the shared machine.

Each reader is a separate process. Three send a dashboard's queries through Quack once a second. One reads a whole table
through Quack, so slowly that its result is always open. A tool opens the published copy once a second; the copy is
written every five seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing.synchronize import Event
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
from bench.unrelated import processor_time, unrelated
from pipeline.config import DuckdbSettings
from sinks.duckdb.analytics_views import shipped_views
from sinks.duckdb.serving import PublishedCopy, ServingSettings, files_of, serve
from sinks.duckdb.store import DuckdbStore
from stack.paths import LOOPBACK, free_ports

SEGMENT_S = 10.0
STEADY_PER_S = 2_000
CHANGES_PER_BATCH_BY_PACE = {"steady": 200, "full": 5_000}
LIMIT = 0.9
"""Minimum share of the throughput beside processes that do not read."""

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@dataclass
class Segments:
    """Changes per second, and the slowest write, of each segment."""

    per_s: list[float] = field(default_factory=list)
    slowest_s: list[float] = field(default_factory=list)


@dataclass
class Pace:
    """Segments at one rate of writing: alone, beside readers, and beside as much unrelated work, in turn."""

    alone: Segments = field(default_factory=Segments)
    readers: Segments = field(default_factory=Segments)
    unrelated: Segments = field(default_factory=Segments)

    @property
    def left(self) -> float:
        """Median share of the throughput alone that remains beside readers."""
        return _share(self.readers, self.alone)

    @property
    def left_of_unrelated(self) -> float:
        """Median share of the throughput beside unrelated work that remains beside readers."""
        return _share(self.readers, self.unrelated)


@dataclass
class Contention:
    """Figures of the benchmark.

    Args:
        cores: processor time of the readers without a writer, including the queries that this process answers, in
            cores.
    """

    cores: list[float] = field(default_factory=list)
    paces: dict[str, Pace] = field(default_factory=dict)
    readers: list[Reading] = field(default_factory=list)


def measure(versions: int, rounds: int, report: Report) -> Contention:
    """Write alone, beside readers and beside unrelated work, in turn, to a store of this number of versions."""
    found = Contention(paces={name: Pace() for name in CHANGES_PER_BATCH_BY_PACE})
    with TemporaryDirectory(prefix="readers-") as folder, closing(open_store(Path(folder) / "duckdb")) as store:
        place = Place(f"quack:{LOOPBACK}:{free_ports(1)[0]}", str(Path(folder) / "copy" / "published.duckdb"))
        writer = _Writer(store, Path(place.copy))
        report(f"loading {versions:,} versions")
        writer.load(versions)
        writer.publish()
        served = ServingSettings(place.address, TOKEN, files_of(Path(folder) / "duckdb", place.copy))
        with closing(serve(store.instance(), served)), readers(place, found.readers) as reading:
            for number in range(1, rounds + 1):
                report(f"{number}/{rounds}  readers alone")
                with _while_set(reading), writer.publishing():
                    found.cores.append(_cores())
                for name, pace in found.paces.items():
                    report(f"{number}/{rounds}  {name}")
                    writer.run(name, pace.alone)
                    with _while_set(reading), writer.publishing():
                        writer.run(name, pace.readers)
                    with unrelated(found.cores[-1]):
                        writer.run(name, pace.unrelated)
    return found


@contextmanager
def _while_set(event: Event) -> Iterator[None]:
    event.set()
    try:
        yield
    finally:
        event.clear()


def _cores() -> float:
    """Return the processor time of all processes during one segment without writes, in cores."""
    began, before = time.perf_counter(), processor_time()
    time.sleep(SEGMENT_S)
    return (processor_time() - before) / (time.perf_counter() - began)


def _share(part: Segments, whole: Segments) -> float:
    return median(beside / alone for beside, alone in zip(part.per_s, whole.per_s, strict=True))


class _Writer:
    def __init__(self, store: DuckdbStore, copy: Path) -> None:
        self._store = store
        self._shop = Shop()
        self._sink = store.sink(LIVE)
        self._sink.prepare()
        self._sink.cutover()
        settings = DuckdbSettings()
        tables = [shape.table for shape in shapes()]
        self._copies = PublishedCopy(copy, tables, settings.copy_every_s, shipped_views(settings.time_zone))

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

    def run(self, name: str, segments: Segments) -> None:
        """Write during one segment."""
        began, before, slowest = time.perf_counter(), self._shop.versions, 0.0
        while (elapsed_s := time.perf_counter() - began) < SEGMENT_S:
            ahead_s = (self._shop.versions - before) / STEADY_PER_S - elapsed_s
            if name == "steady" and ahead_s > 0:
                time.sleep(ahead_s)
            batch = self._shop.batch(CHANGES_PER_BATCH_BY_PACE[name])
            writes = time.perf_counter()
            self._sink.write(batch)
            slowest = max(slowest, time.perf_counter() - writes)
        segments.per_s.append((self._shop.versions - before) / (time.perf_counter() - began))
        segments.slowest_s.append(slowest)


def print_report(found: Contention) -> None:
    """Print the remaining shares of the throughput, and the figures of the readers."""
    out.print(
        f"\nDuckDB's writer alone, beside readers, and beside unrelated work of as much processor time "
        f"({median(found.cores):.2f} cores);\nthe limit is {LIMIT:.0%} of its throughput beside unrelated work"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "beside"):
        table.add_column(column)
    for column in ("changes/s", "of alone", "of unrelated", "slowest write ms"):
        table.add_column(column, justify="right")
    for name, pace in found.paces.items():
        colour = "green" if pace.left_of_unrelated >= LIMIT else "red"
        table.add_row(name, "nothing", *_cells(pace.alone, "", ""))
        table.add_row("", "unrelated work", *_cells(pace.unrelated, f"{_share(pace.unrelated, pace.alone):.0%}", ""))
        left = f"[{colour}]{pace.left_of_unrelated:.0%}[/]"
        table.add_row("", "readers", *_cells(pace.readers, f"{pace.left:.0%}", left))
    out.print(table)
    for reader in found.readers:
        asked = f"{len(reader.answers_s)} answers, median {median(reader.answers_s) * 1000:,.0f} ms"
        out.print(f"  {reader.name}: {asked}, {len(reader.errors)} errors {reader.errors[:1] or ''}", markup=False)


def _cells(segments: Segments, of_alone: str, of_unrelated: str) -> tuple[str, ...]:
    return (f"{median(segments.per_s):,.0f}", of_alone, of_unrelated, f"{max(segments.slowest_s) * 1000:,.0f}")


def contention_json(found: Contention) -> dict[str, Any]:
    """Return every sample."""
    return asdict(found)


def main(
    versions: Annotated[int, typer.Option(min=100_000, help="Versions that are there before.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured, in turn.")] = 3,
    json: Annotated[Path | None, typer.Option(help="Write every sample into this file.")] = None,
) -> None:
    """Run only the benchmark of the readers."""
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

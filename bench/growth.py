"""Cost of DuckDB's model as it grows to ten million versions: load, small batches, queries, copy, and disk space.

    python -m bench.growth [--versions N] [--json FILE]

The sink is the production one, in this process, with the default memory of `duckdb.memory_limit`. Batches have the size
that a worker writes while it catches up; their creation is not timed. No server and no decoder takes part: the cost of
a decoder per record does not depend on the stored data. Everything is measured at a tenth of the versions and at all of
them. Compaction is a rebuild: the same changes again, accumulated as a builder accumulates them, into a new file.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import duckdb
import orjson
import typer
from rich.console import Console

from bench import machine
from bench.growing import Shop
from bench.growth_figures import CHANGES_PER_LIVE_BATCH, Answer, File, Growth, Load, Size, growth_json, print_growth
from bench.memory import own_resident, peak_memory
from bench.servers import DESCRIPTION
from bench.throughput import Report
from pipeline import definitions
from pipeline.config import DuckdbSettings, Settings
from pipeline.ingest.accumulator import BatchAccumulator
from sinks.duckdb.analytics_views import shipped_views
from sinks.duckdb.progress_query import position_query
from sinks.duckdb.serving import PublishedCopy
from sinks.duckdb.store import DuckdbStore, catalog_name
from sinks.shape import RowShape
from sinks.sink import Sink

CHANGES_PER_BATCH = 50_000
"""Size of a batch while a worker catches up."""
LIVE_BATCHES = 40
ASKED = 3
ENOUGH_S = 5.0
"""Time limit of a query's repetitions: each query runs three times, or until this time has passed."""
LIVE, REBUILT = 1, 2

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def measure(versions: int, report: Report, home: Path | None = None) -> Growth:
    """Grow a store to this number of versions, and rebuild it.

    Args:
        home: parent of the temporary files, which need some 300 bytes per version.
    """
    with TemporaryDirectory(prefix="growth-", dir=home) as folder:
        return _Growing(Path(folder), report).run(versions)


class _Growing:
    def __init__(self, folder: Path, report: Report) -> None:
        self._folder = folder
        self._report = report
        self._shop = Shop()
        self._batches: list[int] = []
        self._growth = Growth()

    def run(self, versions: int) -> Growth:
        for wanted in (versions // 10, versions):
            with closing(open_store(self._folder / "duckdb")) as store:
                self._growth.sizes.append(self._grow(store, wanted))
            self._growth.sizes[-1].file = _file(store.path(LIVE))
        with closing(open_store(self._folder / "duckdb")) as store:
            self._rebuild(store)
        self._growth.rebuilt = _file(store.path(REBUILT))
        return self._growth

    def _grow(self, store: DuckdbStore, versions: int) -> Size:
        sink = store.sink(LIVE)
        sink.prepare()
        sink.cutover()
        size = Size()
        with peak_memory(own_resident) as peak:
            while self._shop.versions < versions:
                if self._shop.versions % 1_000_000 < CHANGES_PER_BATCH:
                    self._report(f"{self._shop.versions:,} of {versions:,} versions")
                    size.last = Load()
                self._write(sink, CHANGES_PER_BATCH, size.load, size.last)
            size.peak_bytes = peak()
        self._report("small batches")
        for _ in range(LIVE_BATCHES):
            live = Load()
            self._write(sink, CHANGES_PER_LIVE_BATCH, live)
            size.live_s.append(live.elapsed_s)
            size.live_cpu_s.append(live.cpu_s)
        size.versions = self._shop.versions
        self._require_right(store, LIVE)
        for name, query in questions(store).items():
            self._report(name)
            size.answers[name] = _ask(store, query)
        self._publish(store, size)
        return size

    def _write(self, sink: Sink, changes: int, *loads: Load) -> None:
        before = self._shop.versions
        batch = self._shop.batch(changes)
        self._batches.append(changes)
        _timed(lambda: sink.write(batch), self._shop.versions - before, *loads)

    def _publish(self, store: DuckdbStore, size: Size) -> None:
        self._report("published copy")
        settings, target = DuckdbSettings(), self._folder / "copy" / "published.duckdb"
        tables = [shape.table for shape in shapes()]
        copies = PublishedCopy(target, tables, settings.copy_every_s, shipped_views(settings.time_zone))
        began = time.perf_counter()
        copies.publish(store.instance())
        size.copy_s = time.perf_counter() - began
        size.copy_bytes = target.stat().st_size

    def _rebuild(self, store: DuckdbStore) -> None:
        sink = store.sink(REBUILT)
        sink.prepare()
        again = Shop()
        accumulator = BatchAccumulator(Settings.model_fields["rebuild"].default, shapes())
        with peak_memory(own_resident) as peak:
            for number, changes in enumerate(self._batches):
                if number % 20 == 0:
                    self._report(f"rebuilding: {again.versions:,} of {self._shop.versions:,} versions")
                before = again.versions
                batch = again.batch(changes)
                _timed(lambda batch=batch: accumulator.add(batch), again.versions - before, self._growth.rebuild)  # type: ignore[misc]
                if (
                    accumulator.should_flush(CHANGES_PER_BATCH, CHANGES_PER_BATCH)
                    or again.versions == self._shop.versions
                ):
                    _timed(lambda: sink.write(accumulator.flush()), 0, self._growth.rebuild)
            self._growth.rebuild_peak_bytes = peak()
        self._require_right(store, REBUILT)

    def _require_right(self, store: DuckdbStore, generation: int) -> None:
        """Record a difference if the counts and sums of the tables or the number of versions are wrong."""
        for (name, table), amount in zip(self._shop.tables.items(), ("total", "unit_price"), strict=True):
            with store.connection(generation) as connection:
                [found] = connection.execute(
                    f"SELECT count(*), sum({amount}), (SELECT count(*) FROM versions.{name}) FROM {name}"
                ).fetchall()
            expected = (table.living, Decimal(table.amount) / 100, table.versions)
            if found != expected:
                self._growth.differences.append(f"generation {generation}, {name}: {found} instead of {expected}")


def open_store(directory: Path) -> DuckdbStore:
    """Open a store of the shop's tables with the views; the caller closes it."""
    settings = DuckdbSettings()
    return DuckdbStore(directory, shapes(), settings.memory_limit, shipped_views(settings.time_zone))


def shapes() -> list[RowShape]:
    """Return the tables of `readmodels.toml`."""
    tables = {
        name: definitions.TableDefinition(**table)
        for name, table in tomllib.loads(DESCRIPTION.read_text())["tables"].items()
    }
    return [RowShape(name, tuple(table.key), table.columns) for name, table in tables.items()]


def questions(store: DuckdbStore) -> dict[str, str]:
    """Return the queries: every view, a past moment, the history of one row, and the freshness query."""
    middle = "SELECT min(created_at) + (max(created_at) - min(created_at)) / 2 FROM orders"
    with store.instance().cursor() as connection:
        [(moment, row)] = connection.execute(f"SELECT ({middle})::VARCHAR, (SELECT max(id) FROM orders)").fetchall()
    return {
        **{view.name: f"FROM {view.name}" for view in shipped_views("UTC").views},
        "orders_as_of(…)": f"SELECT status, count(*), sum(total) FROM orders_as_of('{moment}') GROUP BY ALL",
        "orders_history of one order": f"FROM orders_history WHERE id = {row}",
        "freshness": position_query(catalog_name(LIVE), [shape.table for shape in shapes()]),
    }


def _ask(store: DuckdbStore, query: str) -> Answer:
    answer = Answer()
    with peak_memory(own_resident) as peak, store.instance().cursor() as connection:
        while len(answer.asked_s) < ASKED and sum(answer.asked_s) < ENOUGH_S:
            began = (time.perf_counter(), time.process_time())
            answer.rows = connection.execute(query).to_arrow_table().num_rows
            answer.asked_s.append(time.perf_counter() - began[0])
            answer.cpu_s.append(time.process_time() - began[1])
        answer.peak_bytes = peak()
    return answer


def _file(path: Path) -> File:
    """Read the block counts of a closed file."""
    with duckdb.connect(str(path), read_only=True) as connection:
        size = "SELECT block_size * used_blocks FROM pragma_database_size() WHERE database_name = current_database()"
        [(used_bytes,)] = connection.execute(size).fetchall()
    return File(path.stat().st_size, used_bytes)


def _timed(act: Callable[[], object], versions: int, *loads: Load) -> None:
    began = (time.perf_counter(), time.process_time())
    act()
    elapsed_s, cpu_s = time.perf_counter() - began[0], time.process_time() - began[1]
    for load in loads:
        load.versions += versions
        load.elapsed_s += elapsed_s
        load.cpu_s += cpu_s


def main(
    versions: Annotated[int, typer.Option(min=100_000, help="Versions of all rows together.")] = 10_000_000,
    json: Annotated[Path | None, typer.Option(help="Write every sample into this file.")] = None,
    home: Annotated[Path | None, typer.Option(help="Where the files lie meanwhile: some 300 bytes a version.")] = None,
) -> None:
    """Run only the growth benchmark."""
    facts = machine.facts()
    out.print("\n".join(f"{name:<16}{fact}" for name, fact in facts.items()))
    growth = measure(versions, lambda step: err.print(f"[dim]{step}[/]"), home)
    print_growth(out, growth)
    if json is not None:
        found = {"machine": facts, "growth": growth_json(growth)}
        json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    raise typer.Exit(1 if growth.differences else 0)


if __name__ == "__main__":
    typer.run(main)

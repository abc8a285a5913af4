"""Rebuild compared with a plain consumer of its log, and with the store's fastest load of the final state.

    python -m bench.rebuild [--records N] [--repetitions N] [MODEL…]

The log is made of recorded envelopes, a million records at a time with other keys, and written directly to Kafka. The
measured part of a rebuild is that of `readmodels replay` between the creation of a generation and the detection that it
holds the log: the same builder processes, and for DuckDB the same writer. Watermarks and the comparison with PostgreSQL
are left out because these rows were never in PostgreSQL; the generation's documents or rows are counted instead. Memory
is the largest total resident set of all processes of the rebuild, sampled ten times a second.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from bench import bulk, truth
from bench.consume import consume
from bench.envelopes import recorded
from bench.history import History, history
from bench.log import Log, written
from bench.memory import peak_memory, workers_resident
from bench.servers import DESCRIPTION, servers
from pipeline import logging, read_models
from pipeline.catch_up import wait_until_caught_up
from pipeline.cli.context import Context, local_defaults
from pipeline.cli.run import builder_command
from pipeline.config import Settings, load
from pipeline.generations.builders import running_builders
from pipeline.stores.read_model import ModelKind
from pipeline.verify.readers.reader import ModelReader
from pipeline.verify.verify import reader_for
from sinks.duckdb.remote.server import WriterNotRunning
from stack.endpoints import Endpoints

PIECE = 1_000_000
TOPIC_PREFIX = "rebuild"
LIVE, NEW = 1, 2

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Miscounted(RuntimeError):
    """A rebuilt generation does not hold the final state of the log."""


@dataclass
class Left:
    """Final state of a log."""

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[str, list[pa.Table]] = field(default_factory=dict)

    def add(self, told: History, settings: Settings) -> None:
        """Add the final state of one part of the log."""
        self.documents.update(truth.documents(told))
        for shape in settings.definitions.row_shapes():
            self.rows.setdefault(shape.table, []).append(truth.rows(told, shape))

    def tables(self) -> dict[str, pa.Table]:
        """Return the rows of every table."""
        return {name: pa.concat_tables(some) for name, some in self.rows.items()}


@dataclass
class Sample:
    """Seconds and bytes of one model's repetitions."""

    rebuild_s: list[float] = field(default_factory=list)
    load_s: list[float] = field(default_factory=list)
    memory_bytes: list[int] = field(default_factory=list)


def main(
    models: Annotated[list[str] | None, typer.Argument(help="Read models; none is every one.")] = None,
    records: Annotated[int, typer.Option(min=1, help="Records in the log.")] = 200_000,
    repetitions: Annotated[int, typer.Option(min=1, help="How often everything is measured, in turn.")] = 3,
    processes: Annotated[int | None, typer.Option(min=1, help="Builders; as many as `replay` takes.")] = None,
    home: Annotated[Path, typer.Option(help="Where the benchmark's own servers keep their state.")] = Path(
        ".readmodels-bench"
    ),
) -> None:
    """Measure rebuilds from one log."""
    chosen = read_models.parse_names(models)
    with servers(home) as endpoints, (home / "log" / "bench.log").open("a") as words:
        logging.configure(words)
        settings = _settings(endpoints, home)
        os.environ["READMODELS_TOPIC_PREFIX"] = TOPIC_PREFIX
        left, envelopes = Left(), recorded()
        rows = {table: one.rows for table, one in envelopes.items()}
        with written(settings, _pieces(records, rows, left, settings), envelopes) as log:
            consumed: list[float] = []
            samples = {model: Sample() for model in chosen}
            for repetition in range(1, repetitions + 1):
                err.print(f"[dim]{repetition}/{repetitions}[/]")
                consumed.append(consume(settings, log).elapsed_s)
                for model, sample in samples.items():
                    builders = processes or read_models.READ_MODELS[model].default_builders
                    _measure(model, settings, Context(DESCRIPTION, home), log, left, builders, sample)
    _print(log, left, median(consumed), samples)


def _pieces(records: int, rows: Mapping[str, Any], left: Left, settings: Settings) -> Iterator[History]:
    for first in range(0, records, PIECE):
        err.print(f"[dim]writing {first:,} of {records:,} records[/]")
        told = history(min(PIECE, records - first), rows, first_id=1 + 10 * first)
        left.add(told, settings)
        yield told


def _measure(
    model: str, settings: Settings, context: Context, log: Log, left: Left, builders: int, sample: Sample
) -> None:
    with TemporaryDirectory(prefix="rebuild-", dir=context.home) as folder, ExitStack() as stack:
        os.environ["READMODELS_DUCKDB__DIRECTORY"] = folder
        os.environ["READMODELS_DUCKDB__COPY_TO"] = ""
        own = settings.model_copy(update={"duckdb": replace(settings.duckdb, directory=Path(folder), copy_to="")})
        with read_models.open_store(model, own) as store:
            store.drop_all()
            # Create a live generation without pending records, so that only the rebuild is timed.
            store.create(LIVE, replace(read_models.new_metadata(model, own), seed_offsets=log.ends))
            store.sink(LIVE).write(store.generations()[LIVE].initial_batch)
            store.sink(LIVE).cutover()
        command, words = partial(builder_command, context, model), context.home / "log" / f"rebuild-{model}.log"
        if read_models.READ_MODELS[model].is_single_writer:
            stack.enter_context(running_builders(["writer"], lambda _: command(None), words.with_suffix(".writer.log")))
            _await_writer(own)
        with read_models.open_shared(model, own) as store, peak_memory(workers_resident) as peak:
            began = time.perf_counter()
            store.create(NEW, replace(read_models.new_metadata(model, own), is_complete=False))
            names = [f"builder {number}" for number in range(builders)]
            with running_builders(names, lambda _: command(NEW), words) as running:
                wait_until_caught_up(
                    store.sink(NEW).progress, log.ends, TimeoutError, lambda _: running.raise_if_stopped()
                )
                store.mark_complete(NEW)
                sample.rebuild_s.append(time.perf_counter() - began)
            sample.memory_bytes.append(peak())
            with reader_for(model)(own, NEW) as shown:
                _require_whole(model, shown, left)
        with read_models.open_store(model, own) as store:
            store.drop_all()
    sample.load_s.append(_loaded(model, settings, left))


def _await_writer(settings: Settings) -> None:
    """Wait until DuckDB's writer answers, and discard errors during its start."""
    while True:
        with suppress(WriterNotRunning), read_models.open_shared("duckdb", settings) as store:
            store.sink(LIVE).progress()
            return
        time.sleep(0.1)


def _require_whole(model: str, shown: ModelReader, left: Left) -> None:
    """Check the number of rows or documents that readers find."""
    has_rows = read_models.READ_MODELS[model].kind is ModelKind.ROW
    wanted = sum(table.num_rows for table in left.tables().values()) if has_rows else len(left.documents)
    found = sum(page.num_rows for subject in shown.subjects for page in shown.scan(subject))
    if found != wanted:
        raise Miscounted(f"{model} holds {found:,} documents or rows, not {wanted:,}")


def _loaded(model: str, settings: Settings, left: Left) -> float:
    if model == "redis":
        return bulk.load_redis(settings, left.documents)
    if model == "elasticsearch":
        return bulk.load_elasticsearch(settings, left.documents)
    columns = {name: table.columns for name, table in settings.definitions.tables.items()}
    with TemporaryDirectory(prefix="load-") as folder:
        return bulk.load_duckdb(Path(folder), left.tables(), columns)


def _settings(endpoints: Endpoints, home: Path) -> Settings:
    return load(DESCRIPTION, local_defaults(endpoints, home), {"topic_prefix": TOPIC_PREFIX})


def _print(log: Log, left: Left, consume_s: float, samples: Mapping[str, Sample]) -> None:
    out.print(
        f"{log.record_count:,} records, {log.value_bytes / 2**20:,.0f} MB; {len(left.documents):,} documents left;"
        f" plainly consumed in {consume_s:.2f} s ({log.record_count / consume_s:,.0f}/s)"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model")
    for column in ("rebuild s", "records/s", "times consume", "load s", "times load", "memory MB"):
        table.add_column(column, justify="right")
    for model, sample in samples.items():
        rebuild_s, load_s = median(sample.rebuild_s), median(sample.load_s)
        table.add_row(
            f"[bold]{model}[/]",
            f"{rebuild_s:.1f}",
            f"{log.record_count / rebuild_s:,.0f}",
            f"{rebuild_s / consume_s:.1f}",
            f"{load_s:.2f}",
            f"{rebuild_s / load_s:.1f}",
            f"{max(sample.memory_bytes) / 2**20:,.0f}",
        )
    out.print(table)


if __name__ == "__main__":
    typer.run(main)

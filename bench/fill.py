"""First fill of every model, compared with the connector's own snapshot of the same rows.

    python -m bench.fill [--orders N] [--repetitions N] [--apart] [--pgsync]

Each repetition takes the snapshot of N orders with two items each twice, and all parts between source and models are
created again for each. The first snapshot runs without a worker: this is Debezium's own time, from its start until it
reports the end of the snapshot. The second runs beside the workers of all models, as `readmodels run` starts them,
until each model holds every row and its readers find it. Both run on the same servers and cores, so their ratio is the
result. With --apart, each model is also filled while the workers of the others do not run.
With --pgsync, the first fill of Elasticsearch by pgsync from the same rows is timed too (`bench/pgsync.py`).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import psutil
import typer
from psycopg import sql
from rich.console import Console
from rich.table import Table

from bench import pgsync
from bench.latency import create_example, remove, workers
from bench.servers import DESCRIPTION, servers
from bench.throughput import Report
from bench.verify import FILL
from connectors.kafka import end_offsets
from pipeline import logging, read_models
from pipeline.catch_up import wait_until_caught_up
from pipeline.cli.context import Context
from pipeline.config import Settings
from pipeline.epochs.offset_sink import open_sink
from pipeline.postgres.database import connect
from pipeline.runtime.heartbeat import WorkerState
from pipeline.runtime.workers import read_workers
from pipeline.setup import snapshots
from pipeline.setup import source as setup
from pipeline.setup.generations import first_generation_steps
from pipeline.setup.source import SetupStep, deployment_of, run_steps
from pipeline.verify.verify import Scope, verify

WITHIN_S = 1800.0
LOOK_EVERY_S = 0.1

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class NotEqual(RuntimeError):
    """A model differed from PostgreSQL after its first fill, so its times are invalid."""


@dataclass
class Samples:
    """Seconds of every repetition, in turn.

    Args:
        alone_s: Debezium's snapshot without workers.
        alone_processor_s: processor time of the whole machine during the snapshot without workers.
        beside_s: Debezium's snapshot beside the workers.
        filled_s: by model, from the connector's start until the model holds every row, beside the other models.
        filled_processor_s: processor time of the whole machine until all models hold every row.
        apart_s: the same as `filled_s`, while the other models have no worker; empty if it is not measured.
        pgsync_s: pgsync's first fill; empty if it is not measured.
    """

    alone_s: list[float] = field(default_factory=list)
    alone_processor_s: list[float] = field(default_factory=list)
    beside_s: list[float] = field(default_factory=list)
    filled_s: dict[str, list[float]] = field(default_factory=lambda: {model: [] for model in read_models.READ_MODELS})
    filled_processor_s: list[float] = field(default_factory=list)
    apart_s: dict[str, list[float]] = field(default_factory=dict)
    pgsync_s: list[float] = field(default_factory=list)

    def ratios(self, took_s: Sequence[float]) -> list[float]:
        """Return the ratio of each fill to the snapshot alone in the same repetition."""
        return [filled / alone for filled, alone in zip(took_s, self.alone_s, strict=True)]


class _Silent:
    def reading(self, side: str, count: int, expected: int | None) -> None:
        """Ignore the progress."""

    def waiting(self, model: str, lacking_records: int) -> None:
        """Ignore the progress."""


def measure(
    context: Context,
    orders: int,
    repetitions: int,
    report: Report,
    *,
    is_apart: bool = False,
    is_pgsync_measured: bool = False,
) -> Samples:
    """Measure first fills of orders with two items each, and the snapshots that they consume.

    Args:
        is_apart: also fill each model without workers of the others.
    """
    settings, samples = context.settings(), Samples()
    with _tables(settings, orders):
        for repetition in range(1, repetitions + 1):
            place = f"{repetition} of {repetitions}"
            with _deployed(settings, []):
                began_s = _processor_s()
                samples.alone_s.append(_snapshot_s(settings))
                samples.alone_processor_s.append(_processor_s() - began_s)
            report(f"{place}  snapshot alone {samples.alone_s[-1]:.1f} s")
            beside_s, processor_s = _fill(context, list(read_models.READ_MODELS), samples.filled_s)
            samples.beside_s.append(beside_s)
            samples.filled_processor_s.append(processor_s)
            filled = ", ".join(f"{model} {took_s[-1]:.1f} s" for model, took_s in samples.filled_s.items())
            report(f"{place}  beside workers {beside_s:.1f} s; {filled}")
            for model in read_models.READ_MODELS if is_apart else ():
                _fill(context, [model], samples.apart_s)
                report(f"{place}  {model} apart {samples.apart_s[model][-1]:.1f} s")
            if is_pgsync_measured:
                samples.pgsync_s.append(pgsync.fill_s(settings, orders, context.home))
                report(f"{place}  pgsync {samples.pgsync_s[-1]:.1f} s")
    return samples


def _fill(context: Context, models: Sequence[str], filled_s: dict[str, list[float]]) -> tuple[float, float]:
    """Fill models by their workers, and compare each with PostgreSQL.

    Args:
        filled_s: takes the seconds of each model.

    Returns:
        Seconds of the snapshot beside these workers, and processor time of the whole machine until they hold its rows.

    Raises:
        NotEqual: a model differs from PostgreSQL.
    """
    settings = context.settings()
    with _deployed(settings, first_generation_steps(settings)), workers(context, models):
        _await_workers(settings, models)
        ended = threading.Event()
        threads = [
            threading.Thread(
                target=_time_fill, args=(model, settings, time.monotonic(), ended, filled_s.setdefault(model, []))
            )
            for model in models
        ]
        for thread in threads:
            thread.start()
        began_s = _processor_s()
        beside_s = _snapshot_s(settings)
        ended.set()
        for thread in threads:
            thread.join()
        processor_s = _processor_s() - began_s
        for result in verify(models, settings, Scope(timeout_s=WITHIN_S), _Silent()):
            if not result.is_equal:
                raise NotEqual(f"{result.model}: {dict(result.found.counts)}")
    return beside_s, processor_s


def _time_fill(model: str, settings: Settings, began: float, ended: threading.Event, filled_s: list[float]) -> None:
    """Record the seconds from `began` until a model has applied the log of the ended snapshot and is complete."""
    ended.wait()
    ends = end_offsets(settings.kafka.admin(), settings.definitions.topics)
    with read_models.open_shared(model, settings) as store:
        live = store.live()
        assert live is not None
        wait_until_caught_up(open_sink(store, live).progress, ends, TimeoutError, timeout_s=WITHIN_S)
        while not store.generations()[live].is_complete:
            time.sleep(LOOK_EVERY_S)
    filled_s.append(time.monotonic() - began)


def _processor_s() -> float:
    """Return the processor time of all processes of this machine since it started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def _snapshot_s(settings: Settings) -> float:
    """Start the connector, and measure the time until it reports the end of its snapshot."""
    began = time.monotonic()
    run_steps([setup.connector_step(deployment_of(settings))], lambda *_: None)
    while True:
        told = snapshots.read_snapshots(settings)
        if told is not None and told.has_ended:
            return time.monotonic() - began
        time.sleep(LOOK_EVERY_S)


@contextmanager
def _tables(settings: Settings, orders: int) -> Iterator[None]:
    """Create the rows again, and drop them at the end."""
    remove(settings, with_tables=True)
    create_example(settings)
    with closing(connect(settings.source.url)) as source:
        source.execute(sql.SQL(FILL).format(orders=sql.Literal(orders)))
        source.execute("ANALYZE")
    try:
        yield
    finally:
        remove(settings, with_tables=True)


@contextmanager
def _deployed(settings: Settings, further: Sequence[SetupStep]) -> Iterator[None]:
    """Set up all parts except the running connector, and remove them at the end."""
    *prepared, _ = setup.init_steps(deployment_of(settings))
    run_steps([*prepared, *further], lambda *_: None)
    try:
        yield
    finally:
        remove(settings)


def _await_workers(settings: Settings, models: Sequence[str]) -> None:
    """Wait until each of the models has a working worker."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        control = read_workers(settings.kafka)
        states = {model: [one.last.state for one in control.of(model)] for model in models}
        if all(WorkerState.WORKING in some for some in states.values()):
            return
        time.sleep(LOOK_EVERY_S)
    raise TimeoutError(f"workers do not work: {states}")


def print_report(samples: Samples, orders: int) -> None:
    """Print medians, and the ratios of the repetitions."""
    out.print(
        f"first fill of {orders:,} orders with {2 * orders:,} items; Debezium's snapshot alone"
        f" {median(samples.alone_s):.1f} s, beside the workers {median(samples.beside_s):.1f} s"
    )
    out.print(
        f"processor time of the machine: {median(samples.alone_processor_s):.1f} s during the snapshot alone,"
        f" {median(samples.filled_processor_s):.1f} s until all models were filled"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for column in ("filled after s", "times snapshot", "least", "most"):
        table.add_column(column, justify="right")
    pgsynced = {f"pgsync {pgsync.VERSION}": samples.pgsync_s} if samples.pgsync_s else {}
    apart = {f"{model} apart": took_s for model, took_s in samples.apart_s.items()}
    for filled, took_s in {**samples.filled_s, **apart, **pgsynced}.items():
        ratios = samples.ratios(took_s)
        figures = (f"{median(took_s):.1f}", *(f"{one:.2f}" for one in (median(ratios), min(ratios), max(ratios))))
        table.add_row(f"[bold]{filled}[/]", *figures)
    out.print(table)


def samples_json(samples: Samples) -> dict[str, Any]:
    """Return every sample."""
    return asdict(samples)


def main(
    orders: Annotated[int, typer.Option(min=1, help="Orders, with two items each.")] = 50_000,
    repetitions: Annotated[int, typer.Option(min=1, help="How often everything is measured, in turn.")] = 3,
    is_apart: Annotated[
        bool, typer.Option("--apart", help="Also fill each model without workers of the others.")
    ] = False,
    is_pgsync_measured: Annotated[
        bool, typer.Option("--pgsync", help="Install pgsync from PyPI, and time it beside.")
    ] = False,
    home: Annotated[Path, typer.Option(help="Where the benchmark's own servers keep their state.")] = Path(
        ".readmodels-bench"
    ),
) -> None:
    """Measure first fills."""
    with servers(home), (home / "log" / "bench.log").open("a") as words:
        logging.configure(words)

        def report(step: str) -> None:
            err.print(f"[dim]{step}, load {os.getloadavg()[0]:.1f}[/]")

        context = Context(DESCRIPTION, home)
        samples = measure(
            context, orders, repetitions, report, is_apart=is_apart, is_pgsync_measured=is_pgsync_measured
        )
        print_report(samples, orders)


if __name__ == "__main__":
    typer.run(main)

"""Catching up on a log, against a worker of the usual kind that is written by hand for each store.

    python -m bench.catchup [--records N] [--repetitions N]

Both read the same log, in turn and as often as asked for, so that what disturbs one disturbs the other. Ratios are of
the same repetition; on a machine that does other work as well, nothing else can be told.
"""

from __future__ import annotations

import gc
import os
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from redis import Redis
from rich.console import Console
from rich.table import Table

from bench import handwritten
from bench.carry import GENERATION, carry
from bench.envelopes import recorded
from bench.history import history
from bench.log import Log, written
from bench.servers import DESCRIPTION, servers
from pipeline import logging, read_models
from pipeline.cli.context import local_defaults
from pipeline.config import DuckdbSettings, Settings, load
from pipeline.read_models import open_duckdb

TOPIC_PREFIX = "catchup"

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def main(
    records: Annotated[int, typer.Option(min=1, help="Records in the log.")] = 200_000,
    repetitions: Annotated[int, typer.Option(min=1, help="How often everything is measured, in turn.")] = 3,
    home: Annotated[Path, typer.Option(help="Where the benchmark's own servers keep their state.")] = Path(
        ".readmodels-bench"
    ),
) -> None:
    """Measure how long each model takes for one log, and how long a worker written by hand does."""
    with servers(home) as endpoints, (home / "log" / "bench.log").open("a") as words:
        logging.configure(words)
        defaults = local_defaults(endpoints, home)
        del defaults["duckdb"]
        settings = load(DESCRIPTION, defaults, {"topic_prefix": TOPIC_PREFIX})
        envelopes = recorded()
        told = history(records, {table: one.rows for table, one in envelopes.items()})
        ours: dict[str, list[float]] = {model: [] for model in read_models.MODELS}
        theirs: dict[str, list[float]] = {model: [] for model in read_models.MODELS}
        with written(settings, told, envelopes) as log:
            gc.freeze()
            for repetition in range(1, repetitions + 1):
                for model in read_models.MODELS:
                    ours[model].append(_caught_up(model, settings, log))
                    theirs[model].append(handwritten.catch_up(model, settings, log, envelopes).elapsed_s)
                    err.print(
                        f"[dim]{repetition}/{repetitions}  {model}  {ours[model][-1]:.2f} s, by hand "
                        f"{theirs[model][-1]:.2f} s, load {os.getloadavg()[0]:.1f}[/]"
                    )
    _print(log, ours, theirs)


def _caught_up(model: str, settings: Settings, log: Log) -> float:
    if model == "duckdb":
        with TemporaryDirectory(prefix="bench-") as folder:
            own = settings.model_copy(update={"duckdb": DuckdbSettings(directory=Path(folder))})
            with closing(open_duckdb(own)) as store:
                return carry(model, store.sink(GENERATION), own, log).elapsed_s
    if model == "redis":
        with closing(Redis.from_url(settings.redis.url)) as redis:
            redis.flushall()
    with read_models.STORES[model](settings) as store:
        store.clear()
        sink = store.sink(GENERATION)
        sink.prepare()
        sink.cutover()
        took_s = carry(model, sink, settings, log).elapsed_s
        store.clear()
    return took_s


def _print(log: Log, ours: dict[str, list[float]], theirs: dict[str, list[float]]) -> None:
    out.print(f"{log.record_count:,} records; load {os.getloadavg()[0]:.1f} at the end")
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model")
    for column in ("readmodels s", "by hand s", "times as fast", "least", "most"):
        table.add_column(column, justify="right")
    for model, took_s in ours.items():
        ratios = [other / own for own, other in zip(took_s, theirs[model], strict=True)]
        figures = (median(took_s), median(theirs[model]), median(ratios), min(ratios), max(ratios))
        table.add_row(f"[bold]{model}[/]", *(f"{figure:.2f}" for figure in figures))
    out.print(table)


if __name__ == "__main__":
    typer.run(main)

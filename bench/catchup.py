"""Catch-up of each model on a log, compared with a typical handwritten worker for each store.

    python -m bench.catchup [--records N] [--repetitions N]

`make bench` does the same with its own log. Both workers read the same log in turn, so that other load on the machine
affects both. Ratios compare the same repetition; on a machine with other load, absolute times mean nothing.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
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
from bench.envelopes import Envelopes, recorded
from bench.history import History, history
from bench.log import Log, written
from bench.servers import DESCRIPTION, servers
from pipeline import logging, read_models
from pipeline.cli.context import local_defaults
from pipeline.config import DuckdbSettings, Settings, load
from pipeline.stores.duckdb.read_model import open_duckdb

TOPIC_PREFIX = "catchup"

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@dataclass
class Race:
    """Seconds of every repetition by model, and errors in the final state of the handwritten worker."""

    ours_s: dict[str, list[float]] = field(default_factory=dict)
    by_hand_s: dict[str, list[float]] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def main(
    records: Annotated[int, typer.Option(min=1, help="Records in the log.")] = 200_000,
    repetitions: Annotated[int, typer.Option(min=1, help="How often everything is measured, in turn.")] = 3,
    home: Annotated[Path, typer.Option(help="Where the benchmark's own servers keep their state.")] = Path(
        ".readmodels-bench"
    ),
) -> None:
    """Measure the time of each model for one log, and that of a handwritten worker."""
    with servers(home) as endpoints, (home / "log" / "bench.log").open("a") as words:
        logging.configure(words)
        defaults = local_defaults(endpoints, home)
        del defaults["duckdb"]
        settings = load(DESCRIPTION, defaults, {"topic_prefix": TOPIC_PREFIX})
        envelopes = recorded()
        told = history(records, {table: one.rows for table, one in envelopes.items()})
        with written(settings, told, envelopes) as log:
            gc.freeze()
            race = measure(settings, log, told, envelopes, repetitions, lambda step: err.print(f"[dim]{step}[/]"))
    print_race(out, race, log)
    raise typer.Exit(1 if race.differences else 0)


def measure(
    settings: Settings,
    log: Log,
    told: History,
    envelopes: Mapping[str, Envelopes],
    repetitions: int,
    report: Callable[[str], None],
) -> Race:
    """Run both kinds of workers over the log into empty stores, in turn."""
    race = Race()
    expected = {"orders": len(told.orders), "order_items": len(told.items)}
    for repetition in range(1, repetitions + 1):
        for model in read_models.READ_MODELS:
            ours_s = _caught_up(model, settings, log)
            by_hand, counted = handwritten.catch_up(model, settings, log, envelopes)
            if counted != expected:
                race.differences.append(f"{model} by hand: {counted} rows instead of {expected}")
            race.ours_s.setdefault(model, []).append(ours_s)
            race.by_hand_s.setdefault(model, []).append(by_hand.elapsed_s)
            report(
                f"{repetition}/{repetitions}  {model} catches up: {ours_s:.2f} s, by hand {by_hand.elapsed_s:.2f} s, "
                f"load {os.getloadavg()[0]:.1f}"
            )
    return race


def _caught_up(model: str, settings: Settings, log: Log) -> float:
    if model == "duckdb":
        with TemporaryDirectory(prefix="bench-") as folder:
            own = settings.model_copy(update={"duckdb": DuckdbSettings(directory=Path(folder))})
            with closing(open_duckdb(own)) as store:
                return carry(model, store.sink(GENERATION), own, log).elapsed_s
    if model == "redis":
        with closing(Redis.from_url(settings.redis.url)) as redis:
            redis.flushall()
    with read_models.open_store(model, settings) as store:
        store.drop_all()
        sink = store.sink(GENERATION)
        sink.prepare()
        sink.cutover()
        took_s = carry(model, sink, settings, log).elapsed_s
        store.drop_all()
    return took_s


def print_race(console: Console, race: Race, log: Log) -> None:
    """Print medians, and the speed of each model relative to the handwritten worker in the same repetition."""
    console.print(
        f"\ncatching up on {log.record_count:,} records, against a worker by hand; "
        f"load {os.getloadavg()[0]:.1f} at the end"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for column in ("readmodels s", "by hand s", "times as fast", "least", "most"):
        table.add_column(column, justify="right")
    for model, ours_s in race.ours_s.items():
        by_hand_s = race.by_hand_s[model]
        ratios = [other / own for own, other in zip(ours_s, by_hand_s, strict=True)]
        figures = (median(ours_s), median(by_hand_s), median(ratios), min(ratios), max(ratios))
        table.add_row(model, *(f"{figure:.2f}" for figure in figures))
    console.print(table)
    for difference in race.differences:
        console.print(f"[red]{difference}[/]")


if __name__ == "__main__":
    typer.run(main)

"""`python -m bench`: measures this checkout on servers of its own, and exits with 1 where a model ends up wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from bench import machine
from bench.envelopes import recorded
from bench.history import history
from bench.log import written
from bench.report import print_throughput, throughput_json
from bench.throughput import measure
from pipeline import logging
from pipeline.cli.context import local_defaults
from pipeline.config import Settings, load
from stack.endpoints import Endpoints
from stack.local import LocalStack
from stack.progress import ConsoleReport

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

TOPIC_PREFIX = "bench"


app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    records: Annotated[int, typer.Option(min=1, help="Records in the log.")] = 200_000,
    repetitions: Annotated[int, typer.Option(min=1, help="How often everything is measured, in turn.")] = 3,
    json: Annotated[Path | None, typer.Option(help="Write every sample into this file.")] = None,
    home: Annotated[Path, typer.Option(help="Where the benchmark's own servers keep their state.")] = Path(
        ".readmodels-bench"
    ),
) -> None:
    """Measure the worker against plainly consuming its log, and against each store's own bulk load."""
    logging.configure()
    envelopes = recorded()
    with _servers(home) as endpoints:
        settings = _settings(endpoints, home)
        err.print(f"making {records:,} records")
        told = history(records, {table: one.rows for table, one in envelopes.items()})
        err.print("writing them")
        with written(settings, told, envelopes) as log:
            samples = measure(settings, log, told, repetitions, lambda step: err.print(f"[dim]{step}[/]"))
    facts = machine.facts()
    out.print("\n".join(f"{name:<16}{fact}" for name, fact in facts.items()), end="\n\n")
    print_throughput(out, samples, log, told)
    if json is not None:
        found = {"machine": facts, "throughput": throughput_json(samples, log, told)}
        json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    raise typer.Exit(1 if samples.differences else 0)


@contextmanager
def _servers(home: Path) -> Iterator[Endpoints]:
    """A local stack, stopped at the end where it was started here."""
    stack = LocalStack(home)
    was_up = stack.pid("kafka") is not None
    yield stack.up(ConsoleReport(err))
    if not was_up:
        stack.down(ConsoleReport(err))


def _settings(endpoints: Endpoints, home: Path) -> Settings:
    defaults = local_defaults(endpoints, home)
    del defaults["duckdb"]
    return load(Path("readmodels.toml"), defaults, {"topic_prefix": TOPIC_PREFIX})


if __name__ == "__main__":
    app()

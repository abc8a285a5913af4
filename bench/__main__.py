"""Entry point `python -m bench`: measures this checkout on separate servers; exits with 1 if a model ends up wrong."""

from __future__ import annotations

import gc
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from bench import catchup, fill, growth, latency, limits, machine, readers, throughput, truth, verify
from bench.envelopes import recorded
from bench.growth_figures import growth_json, print_growth
from bench.history import history
from bench.log import written
from bench.report import latency_json, limits_json, print_latency, print_limits, print_throughput, throughput_json
from bench.servers import DESCRIPTION, servers
from pipeline import logging
from pipeline.cli.context import Context, local_defaults
from pipeline.config import Settings, load
from stack.endpoints import Endpoints

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

TOPIC_PREFIX = "bench"


@app.command()
def main(
    records: Annotated[int, typer.Option(min=1, help="Records in the log.")] = 200_000,
    repetitions: Annotated[int, typer.Option(min=1, help="How often everything is measured, in turn.")] = 3,
    probes: Annotated[int, typer.Option(min=0, help="Orders whose way to the readers is timed; 0 for none.")] = 100,
    verified: Annotated[int, typer.Option(min=0, help="Orders that `verify` is timed over; 0 for none.")] = 100_000,
    filled: Annotated[int, typer.Option(min=0, help="Orders of a first fill; 0 for none.")] = 50_000,
    grown: Annotated[int, typer.Option(min=0, help="Versions to which DuckDB grows; 0 for none.")] = 10_000_000,
    read: Annotated[
        int, typer.Option(min=0, help="Versions in DuckDB beside whose readers is written; 0 for none.")
    ] = 1_000_000,
    json: Annotated[Path | None, typer.Option(help="Write every sample into this file.")] = None,
    home: Annotated[Path, typer.Option(help="Where the benchmark's own servers keep their state.")] = Path(
        ".readmodels-bench"
    ),
) -> None:
    """Measure the workers against a plain consumer of their log, and against each store's own bulk load."""
    found: dict[str, Any] = {"machine": machine.facts()}
    out.print("\n".join(f"{name:<16}{fact}" for name, fact in found["machine"].items()), end="\n\n")
    with servers(home) as endpoints, (home / "log" / "bench.log").open("a") as words:
        logging.configure(words)
        is_equal = _throughput(_settings(endpoints, home), records, repetitions, found)
        if probes:
            delays = latency.measure(Context(DESCRIPTION, home), probes, _report)
            print_latency(out, delays)
            found["latency"] = latency_json(delays)
        if verified:
            samples = verify.measure(Context(DESCRIPTION, home), verified, repetitions, _report)
            verify.print_report(samples)
            found["verify"] = verify.samples_json(samples)
        if filled:
            fills = fill.measure(Context(DESCRIPTION, home), filled, repetitions, _report)
            fill.print_report(fills, filled)
            found["fill"] = fill.samples_json(fills)
    # Stop the servers first because they would use processor time.
    if grown:
        grew = growth.measure(grown, _report, home)
        print_growth(out, grew)
        found["growth"] = growth_json(grew)
        is_equal = is_equal and not grew.differences
    if read:
        beside = readers.measure(read, repetitions, _report)
        readers.print_report(beside)
        found["readers"] = readers.contention_json(beside)
    if json is not None:
        json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    raise typer.Exit(0 if is_equal else 1)


def _throughput(settings: Settings, records: int, repetitions: int, found: dict[str, Any]) -> bool:
    envelopes = recorded()
    _report(f"making {records:,} records")
    told = history(records, {table: one.rows for table, one in envelopes.items()})
    with written(settings, told, envelopes) as log:
        # Freeze the millions of objects created here: a worker does not have them, and the collector would scan them.
        gc.freeze()
        samples = throughput.measure(settings, log, told, repetitions, _report)
        pairs = limits.measure(settings, log, truth.documents(told), repetitions, _report)
        race = catchup.measure(settings, log, told, envelopes, repetitions, _report)
    print_throughput(out, samples, log, told)
    print_limits(out, pairs)
    catchup.print_race(out, race, log)
    found["throughput"] = throughput_json(samples, log, told)
    found["limits"] = limits_json(pairs)
    found["catch_up"] = asdict(race)
    return not samples.differences and not race.differences


def _settings(endpoints: Endpoints, home: Path) -> Settings:
    defaults = local_defaults(endpoints, home)
    del defaults["duckdb"]
    return load(DESCRIPTION, defaults, {"topic_prefix": TOPIC_PREFIX})


def _report(step: str) -> None:
    err.print(f"[dim]{step}[/]")


if __name__ == "__main__":
    app()

"""Duration of `readmodels verify`, compared with a plain read of both sides, once each, one after the other.

    python -m bench.verify [--orders N] [--repetitions N] [--json FILE]

A plain read of a side is the minimum for an external comparison. For PostgreSQL it is a COPY of the rows in the form in
which the store shows them, because two sides can be compared in one form only. For a store it is the fastest full read:
a paged search at a point in time, SCAN with MGET, or a SELECT into Arrow. The data is discarded. A bare COPY of the
tables, which cannot be compared with a model, is timed too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import orjson
import psycopg
import typer
from psycopg import sql
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.latency import set_up, workers
from bench.plain import read_source, read_tables, store_reader
from bench.servers import DESCRIPTION, servers
from bench.throughput import Report
from pipeline import read_models
from pipeline.cli.context import Context
from pipeline.config import Settings
from pipeline.postgres.database import connect
from pipeline.verify.verify import Scope, verify

LIMIT = 1.3
"""Maximum ratio of a verification to the plain reads of both sides."""

FILL = """
INSERT INTO orders (customer_id, status, total, note, shipping_address, created_at, updated_at)
SELECT place % 5000, (ARRAY['pending', 'paid', 'shipped', 'cancelled'])[1 + place % 4], (place % 99999) / 100.0,
       CASE WHEN place % 3 = 0 THEN 'Grüße ' || place END,
       jsonb_build_object('city', '東京都', 'zip', place::text, 'geo', jsonb_build_object('lat', 35.6895)),
       timestamptz '2026-01-01' + place * interval '1 s', timestamptz '2026-01-01' + place * interval '1.000001 s'
FROM generate_series(1, {orders}) AS place;
INSERT INTO order_items (order_id, sku, quantity, unit_price, attributes, created_at, updated_at)
SELECT 1 + place % {orders}, 'SKU-' || place % 977, 1 + place % 9, (place % 9999) / 100.0,
       CASE WHEN place % 2 = 0 THEN jsonb_build_object('gift', true, 'n', place) END,
       timestamptz '2026-01-01' + place * interval '1 s', timestamptz '2026-01-01' + place * interval '1.000001 s'
FROM generate_series(1, 2 * {orders}) AS place
"""
_FILLED_WITHIN_S = 1800.0

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class NotEqual(RuntimeError):
    """A model differed from PostgreSQL, so its times are invalid."""


@dataclass
class Sample:
    """Seconds of one model, measured in turn.

    Args:
        rows: number of PostgreSQL rows that were compared.
        source_s: plain read of PostgreSQL, in the form that is compared.
        bare_s: COPY of PostgreSQL's tables.
        store_s: plain read of the store.
        verify_s: a verification, including all waits.
    """

    rows: int = 0
    source_s: list[float] = field(default_factory=list)
    bare_s: list[float] = field(default_factory=list)
    store_s: list[float] = field(default_factory=list)
    verify_s: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Median ratio of a verification to both plain reads."""
        both = zip(self.source_s, self.store_s, self.verify_s, strict=True)
        return median(verified / (source + store) for source, store, verified in both)


class _Silent:
    def reading(self, side: str, count: int, expected: int | None) -> None:
        """Ignore the progress."""

    def waiting(self, model: str, lacking_records: int) -> None:
        """Ignore the progress."""


def measure(context: Context, orders: int, repetitions: int, report: Report) -> dict[str, Sample]:
    """Fill the models with orders of two items each, and measure verifications and plain reads in turn."""
    settings = context.settings()
    samples = {model: Sample() for model in read_models.READ_MODELS}
    with set_up(settings, report), workers(context), connect(settings.source.url) as source:
        source.execute(sql.SQL(FILL).format(orders=sql.Literal(orders)))
        source.execute("ANALYZE")
        report("filling the models")
        # This is also the first read of all data, which warms all caches.
        list(verify(read_models.READ_MODELS, settings, Scope(timeout_s=_FILLED_WITHIN_S), _Silent()))
        for repetition in range(repetitions):
            for model, sample in samples.items():
                report(f"{model}, {repetition + 1} of {repetitions}")
                _take(sample, model, settings, source)
    return samples


def _take(sample: Sample, model: str, settings: Settings, source: psycopg.Connection[Any]) -> None:
    sample.source_s.append(_timed(lambda: read_source(model, settings, source)))
    with store_reader(model, settings) as read:
        sample.store_s.append(_timed(read))
    (result,) = verify([model], settings, Scope(), _Silent())
    if not result.is_equal:
        raise NotEqual(f"{model}: {dict(result.found.counts)}")
    sample.rows = result.rows
    sample.verify_s.append(result.elapsed_s)
    sample.bare_s.append(_timed(lambda: read_tables(settings, source)))


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def print_report(samples: dict[str, Sample]) -> None:
    """Print medians, and the ratio of a verification to both plain reads."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in ("rows", "PostgreSQL s", "store s", "verify s", "of both", "rows/s", "bare COPY s"):
        table.add_column(column, justify="right")
    for model, sample in samples.items():
        state = "green" if sample.ratio <= LIMIT else "red"
        taken_s = median(sample.verify_s)
        table.add_row(
            model,
            f"{sample.rows:,}",
            f"{median(sample.source_s):.2f}",
            f"{median(sample.store_s):.2f}",
            f"{taken_s:.2f}",
            f"[{state}]{sample.ratio:.2f}[/]",
            f"{sample.rows / taken_s:,.0f}",
            f"{median(sample.bare_s):.2f}",
        )
    out.print(f"\nverify, against plainly reading both sides once; the limit is {LIMIT:.1f}")
    out.print(table)


def samples_json(samples: dict[str, Sample]) -> dict[str, Any]:
    """Return every sample."""
    return {model: {**asdict(sample), "ratio": sample.ratio} for model, sample in samples.items()}


def main(
    orders: Annotated[int, typer.Option(min=1, help="Orders, of two items each.")] = 100_000,
    repetitions: Annotated[int, typer.Option(min=1, help="How often everything is measured, in turn.")] = 3,
    json: Annotated[Path | None, typer.Option(help="Write every sample into this file.")] = None,
    home: Annotated[Path, typer.Option(help="Where the benchmark's own servers keep their state.")] = Path(
        ".readmodels-bench"
    ),
) -> None:
    """Run only the benchmark of `verify`."""
    facts = machine.facts()
    out.print("\n".join(f"{name:<16}{fact}" for name, fact in facts.items()))
    with servers(home):
        samples = measure(Context(DESCRIPTION, home), orders, repetitions, lambda step: err.print(f"[dim]{step}[/]"))
    print_report(samples)
    if json is not None:
        found = {"machine": facts, "verify": samples_json(samples)}
        json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    raise typer.Exit(0 if all(sample.ratio <= LIMIT for sample in samples.values()) else 1)


if __name__ == "__main__":
    typer.run(main)

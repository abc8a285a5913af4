"""Results as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.history import History
from bench.limits import Pair
from bench.log import Log
from bench.throughput import CONSUME, FOLD, Samples
from pipeline.demo.latency_probe import VisibilityDelays


def print_throughput(console: Console, samples: Samples, log: Log, history: History) -> None:
    """Print medians, and each as a share of the speed of its two baselines."""
    console.print(
        f"{log.record_count:,} records, {log.value_bytes / 2**20:.0f} MiB of Avro values, of which remain "
        f"{len(history.orders):,} orders and {len(history.items):,} items"
    )
    columns = ("s", "records/s", "CPU µs", "of consume", "bulk s", "of bulk", "state")
    table = _table(*columns)
    wrong = {difference.partition(":")[0] for difference in samples.differences}
    for name in samples.durations:
        loaded = f"{median(samples.bulk_s[name]):.2f}" if name in samples.bulk_s else ""
        share = f"{median(samples.bulk_s[name]) / samples.elapsed_s(name):.0%}" if name in samples.bulk_s else ""
        state = "" if name in (CONSUME, FOLD) else "[red]differs[/]" if name in wrong else "[green]equal[/]"
        table.add_row(
            name,
            f"{samples.elapsed_s(name):.2f}",
            f"{log.record_count / samples.elapsed_s(name):,.0f}",
            f"{samples.cpu_s(name) / log.record_count * 1e6:.2f}",
            f"{samples.elapsed_s(CONSUME) / samples.elapsed_s(name):.0%}",
            loaded,
            share,
            state,
        )
    console.print(table)
    for difference in samples.differences:
        console.print(f"[red]{difference}[/]")


def print_limits(console: Console, pairs: Mapping[str, Pair]) -> None:
    """Print the share of its store's minimum that each sink reaches."""
    table = _table("sink s", "least s", "of the least")
    for model, pair in pairs.items():
        table.add_row(model, f"{median(pair.sink_s):.2f}", f"{median(pair.least_s):.2f}", f"{pair.share:.0%}")
    console.print("\nthe same batches, against DELETE and INSERT of the last version per key, and against MSET")
    console.print(table)


def print_latency(console: Console, delays: Mapping[str, VisibilityDelays]) -> None:
    """Print the delays from commit to visible."""
    table = _table("median ms", "99th percentile ms", "orders", "never seen")
    for model, one in delays.items():
        times = (f"{one.median_s * 1000:,.0f}", f"{one.p99_s * 1000:,.0f}") if one.seen_s else ("-", "-")
        table.add_row(model, *times, str(len(one.seen_s)), str(one.unseen))
    console.print("\nfrom commit to visible, idle")
    console.print(table)


def limits_json(pairs: Mapping[str, Pair]) -> dict[str, Any]:
    """Return every sample of the limits."""
    return {model: asdict(pair) for model, pair in pairs.items()}


def latency_json(delays: Mapping[str, VisibilityDelays]) -> dict[str, Any]:
    """Return every delay."""
    return {model: asdict(one) for model, one in delays.items()}


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def throughput_json(samples: Samples, log: Log, history: History) -> dict[str, Any]:
    """Return every sample, and the size of the log."""
    return {
        "records": log.record_count,
        "value_bytes": log.value_bytes,
        "orders": len(history.orders),
        "order_items": len(history.items),
        "durations": {name: [asdict(one) for one in durations] for name, durations in samples.durations.items()},
        "bulk_load_s": samples.bulk_s,
        "differences": samples.differences,
    }

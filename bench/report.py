"""The results as a table for people and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.history import History
from bench.log import Log
from bench.throughput import CONSUME, FOLD, Samples


def print_throughput(console: Console, samples: Samples, log: Log, history: History) -> None:
    """Print medians, and each as a share of the speed of its two baselines."""
    console.print(
        f"{log.record_count:,} records, {log.value_bytes / 2**20:.0f} MiB of Avro values, of which remain "
        f"{len(history.orders):,} orders and {len(history.items):,} items"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for column in ("s", "records/s", "own CPU µs/record", "of consuming", "bulk load s", "of bulk load"):
        table.add_column(column, justify="right")
    table.add_column("final state")
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


def throughput_json(samples: Samples, log: Log, history: History) -> dict[str, Any]:
    """Every sample, and what the log was."""
    return {
        "records": log.record_count,
        "value_bytes": log.value_bytes,
        "orders": len(history.orders),
        "order_items": len(history.items),
        "durations": {name: [asdict(one) for one in durations] for name, durations in samples.durations.items()},
        "bulk_load_s": samples.bulk_s,
        "differences": samples.differences,
    }

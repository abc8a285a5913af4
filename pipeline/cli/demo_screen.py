"""Screen of `demo`: orders while they are placed, then the same order, query results and counts in all stores."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from connectors.kafka import end_offsets
from pipeline import read_models
from pipeline.catch_up import wait_until_caught_up
from pipeline.cli.context import out
from pipeline.cli.run import captured_end_offsets
from pipeline.config import Settings
from pipeline.demo import latency_probe
from pipeline.demo.order_generator import OrderGenerator, Traffic, TrafficCounts
from pipeline.demo.readers import COUNTS, Counts, DuckdbOrders, OrdersReader, open_readers
from pipeline.demo.tables import open_engine
from pipeline.health.lag import committed_offsets
from pipeline.postgres.database import connect
from pipeline.postgres.watermark import select_topics
from pipeline.runtime.supervisor import Supervisor
from sinks.batch import Offsets, Progress

CATCH_UP_TIMEOUT_S = 180.0
QUESTION = """
SELECT status, count(*) AS orders, sum(total) AS total, round(avg(total), 2) AS average
FROM orders GROUP BY status ORDER BY orders DESC
"""


class DemoFailed(Exception):
    """The models are not equal to the source at the end."""

    remedy = (
        "Run `readmodels run --until-caught-up`: it applies the remaining changes, or prints the error and its "
        "remedy. Then run `readmodels verify --repair --execute`, which lists and repairs rows that still differ."
    )


def run_demo(settings: Settings, workers: Supervisor, seconds: float, rate: float) -> None:
    """Place orders while the workers run, then show the results.

    Raises:
        DemoFailed: the models are not equal to the source at the end.
    """
    until = threading.Event()
    running = threading.Thread(target=workers.run, args=(list(read_models.READ_MODELS), until), name="workers")
    running.start()
    try:
        _show(settings, seconds, rate)
    finally:
        until.set()
        running.join()


def _show(settings: Settings, seconds: float, rate: float) -> None:
    with closing(_Shop(settings)) as shop, open_readers(settings) as readers:
        _await_workers(readers)
        delays = _serve(shop, settings, readers, seconds, rate)
        took_s = catch_up(settings)
        out.print(f"all models hold everything {took_s:.1f} s after the last order")
        out.rule("[bold]4  one order, four places")
        _print_order(shop, readers)
        out.rule("[bold]5  a question to DuckDB")
        out.print(f"[dim]{' '.join(QUESTION.split())}[/]")
        analytics = readers["duckdb"]
        assert isinstance(analytics, DuckdbOrders)
        out.print(_table(analytics.ask(QUESTION)))
        out.rule("[bold]6  from commit to visible, under this load")
        out.print(_delays(delays))
        out.rule("[bold]7  the counts")
        _compare(shop.counts(), {name: reader.counts() for name, reader in readers.items()})


@dataclass
class _Shop:
    """Source database of the demo."""

    settings: Settings
    counts_so_far: TrafficCounts = field(default_factory=TrafficCounts)

    def __post_init__(self) -> None:
        self.engine = open_engine(self.settings.source.url)

    def close(self) -> None:
        self.engine.dispose()

    def serve(self, seconds: float, rate: float) -> None:
        closing_time = threading.Event()
        threading.Timer(seconds, closing_time.set).start()
        for counts in OrderGenerator(self.engine, Traffic(orders_per_s=rate, seed=time.time_ns())).run(closing_time):
            self.counts_so_far = counts

    def counts(self) -> Counts:
        with closing(connect(self.settings.source.url)) as connection:
            orders, items = connection.execute(COUNTS).fetchone() or (0, 0)
        return Counts(int(str(orders)), int(str(items)))

    def busiest_order(self) -> dict[str, Any]:
        query = """
            SELECT orders.id, status, total::text, note, count(*) AS items, min(sku) AS first_sku
            FROM orders JOIN order_items ON order_id = orders.id
            GROUP BY orders.id ORDER BY count(*) DESC, orders.id DESC LIMIT 1
        """
        with closing(connect(self.settings.source.url)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            assert cursor.description is not None
            row = cursor.fetchone()
            assert row is not None
            return dict(zip((column.name for column in cursor.description), row, strict=True))


def _await_workers(readers: Mapping[str, OrdersReader]) -> None:
    """Wait until DuckDB's worker serves readers; the other stores always answer."""
    deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
    while True:
        try:
            readers["duckdb"].order(0)
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _serve(
    shop: _Shop, settings: Settings, readers: Mapping[str, OrdersReader], seconds: float, rate: float
) -> dict[str, latency_probe.VisibilityDelays]:
    closing_time = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        traffic = pool.submit(shop.serve, seconds, rate)
        watched = pool.submit(latency_probe.measure, shop.engine, readers, closing_time)
        with Live(console=out, refresh_per_second=4) as live:
            began = time.monotonic()
            while not traffic.done():
                live.update(_progress(shop.counts_so_far, time.monotonic() - began, seconds, _lags(settings)))
                time.sleep(0.5)
        closing_time.set()
        traffic.result()
        return watched.result()


def _lags(settings: Settings) -> dict[str, int]:
    admin = settings.kafka.admin()
    ends = end_offsets(admin, settings.definitions.topics)
    return {model: sum(_committed(model, settings, ends).lag(ends).values()) for model in read_models.READ_MODELS}


def _committed(model: str, settings: Settings, ends: Offsets) -> Progress:
    with read_models.open_store(model, settings) as store:
        group = read_models.consumer_group(model, store.live() or 1)
    return Progress(committed_offsets(settings.kafka, group, ends))


def _progress(counts: TrafficCounts, elapsed_s: float, seconds: float, lags: Mapping[str, int]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    words = f"{counts.placed:,} placed, {counts.advanced:,} advanced, {counts.amended:,} amended"
    table.add_row(f"{elapsed_s:4.0f}/{seconds:.0f} s", f"{words}, {counts.moved:,} moved, {counts.deleted:,} deleted")
    table.add_row("behind", "   ".join(f"{model} {lag:,} records" for model, lag in lags.items()))
    return table


def catch_up(settings: Settings) -> float:
    """Wait until the models hold everything that is committed now, and return the seconds that this took.

    Raises:
        DemoFailed: a model did not catch up within `CATCH_UP_TIMEOUT_S`.
    """
    began = time.monotonic()
    ends = select_topics(captured_end_offsets(settings), settings.definitions.topics)
    for model in read_models.READ_MODELS:
        committed = partial(_committed, model, settings, ends)
        wait_until_caught_up(committed, ends, partial(_late, model), timeout_s=CATCH_UP_TIMEOUT_S)
    return time.monotonic() - began


def _late(model: str, lack: str) -> DemoFailed:
    return DemoFailed(f"{model} {lack}")


def _print_order(shop: _Shop, readers: Mapping[str, OrdersReader]) -> None:
    source = shop.busiest_order()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "postgresql", *readers):
        table.add_column(column)
    seen = {name: _digest(reader.order(source["id"])) for name, reader in readers.items()}
    for name in source:
        cells = (source[name], *(one.get(name) for one in seen.values()))
        table.add_row(f"[dim]{name}[/]", *(escape(str(cell)) for cell in cells))
    out.print(table)


def _digest(order: dict[str, Any] | None) -> dict[str, Any]:
    if order is None:
        return {}
    items = order["items"]
    return {**order, "items": len(items), "first_sku": min((item["sku"] for item in items), default=None)}


def _delays(delays: Mapping[str, latency_probe.VisibilityDelays]) -> Table:
    rows = [
        {
            "store": name,
            "median": f"{one.median_s * 1000:,.0f} ms" if one.seen_s else "-",
            "99th percentile": f"{one.p99_s * 1000:,.0f} ms" if one.seen_s else "-",
            "changes timed": len(one.seen_s),
            "never seen": one.unseen,
        }
        for name, one in delays.items()
    ]
    return _table(rows)


def _compare(source: Counts, models: Mapping[str, Counts]) -> None:
    rows = [{"": "postgresql", "orders": source.orders, "items": source.items, "equal": ""}]
    for name, counts in models.items():
        is_equal = counts == source
        rows.append(
            {
                "": name,
                "orders": counts.orders,
                "items": counts.items,
                "equal": "[green]equal[/]" if is_equal else "[red]DIFFERENT[/]",
            }
        )
    out.print(_table(rows))
    different = [name for name, counts in models.items() if counts != source]
    if different:
        raise DemoFailed(f"not equal to PostgreSQL: {', '.join(different)}")


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, value in rows[0].items():
        table.add_column(name, justify="left" if isinstance(value, str) and not value.endswith("ms") else "right")
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    return table

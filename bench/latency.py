"""Latency from a commit in PostgreSQL until a reader of each store sees it, without other load."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress

import duckdb
from sqlalchemy import Engine, insert

from bench.throughput import Report
from pipeline import read_models
from pipeline.cli.context import Context
from pipeline.cli.run import worker_command
from pipeline.config import Settings
from pipeline.demo import latency_probe
from pipeline.demo.latency_probe import VisibilityDelays
from pipeline.demo.readers import OrdersReader, open_readers
from pipeline.demo.tables import Order, create_tables, open_engine
from pipeline.postgres.database import connect
from pipeline.runtime.supervisor import Supervisor
from pipeline.setup.generations import first_generation_steps
from pipeline.setup.source import deployment_of, init_steps, run_steps
from pipeline.teardown.teardown import find_teardown

_READY_WITHIN_S = 120.0


class WorkersNotReady(RuntimeError):
    """The workers did not make an order visible in time."""


def measure(context: Context, probes: int, report: Report) -> dict[str, VisibilityDelays]:
    """Set up a deployment, run the workers, place one order after the other, and remove the deployment again.

    Args:
        context: the definitions of the read models, and the home of a running stack.
    """
    settings = context.settings()
    with set_up(settings, report), workers(context), open_readers(settings) as readers:
        engine = open_engine(settings.source.url)
        try:
            _show_one(engine, readers)
            report(f"latency of {probes} orders")
            until = threading.Event()
            threading.Timer(probes * latency_probe.PROBE_EVERY_S, until.set).start()
            return latency_probe.measure(engine, readers, until)
        finally:
            engine.dispose()


@contextmanager
def set_up(settings: Settings, report: Report) -> Iterator[None]:
    """Create all parts between source and models again, and remove them at the end, with the orders."""
    remove(settings)
    create_example(settings)
    steps = [*init_steps(deployment_of(settings)), *first_generation_steps(settings)]
    run_steps(steps, lambda name, outcome: report(f"{name}: {outcome}"))
    try:
        yield
    finally:
        remove(settings, with_tables=True)


def create_example(settings: Settings) -> None:
    """Create the example's tables in the source."""
    with closing(connect(settings.source.url)) as source:
        create_tables(source)


def remove(settings: Settings, *, with_tables: bool = False) -> None:
    """Remove all existing parts, so that none affects the measurement."""
    for problem in find_teardown(settings, with_tables=with_tables).carry_out(lambda *_: None):
        raise problem


@contextmanager
def workers(context: Context, models: Iterable[str] = tuple(read_models.READ_MODELS)) -> Iterator[None]:
    """Run the workers of models, as `readmodels run` does."""
    until = threading.Event()
    supervisor = Supervisor(lambda model: worker_command(context, model), context.home / "log" / "workers.log")
    running = threading.Thread(target=supervisor.run, args=(list(models), until), name="workers")
    running.start()
    try:
        yield
    finally:
        until.set()
        running.join()


def _show_one(engine: Engine, readers: Mapping[str, OrdersReader]) -> None:
    """Place an order, and wait until every reader has seen it, because the workers need time to start."""
    with engine.begin() as connection:
        order_id = connection.execute(insert(Order).values(customer_id=0).returning(Order.id)).scalar_one()
    deadline = time.monotonic() + _READY_WITHIN_S
    blind = set(readers)
    while blind:
        if time.monotonic() > deadline:
            raise WorkersNotReady(f"{', '.join(sorted(blind))}: no order after {_READY_WITHIN_S:g} s")
        time.sleep(latency_probe.LOOK_EVERY_S)
        # DuckDB rejects queries until its worker serves readers.
        with suppress(duckdb.Error):
            blind -= {name for name in blind if readers[name].order(order_id) is not None}

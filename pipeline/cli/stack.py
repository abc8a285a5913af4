"""Commands `up` and `down`: the local stack of real servers."""

from __future__ import annotations

import time
from typing import Annotated

import orjson
import typer

from pipeline.cli.context import context_of, out, print_json
from pipeline.demo.tables import create_tables
from pipeline.postgres.database import connect
from stack.progress import ConsoleReport, NullReport

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def up(context: typer.Context, as_json: AsJson = False) -> None:
    """Start the local stack: PostgreSQL, Kafka, Connect with Debezium, registry, Elasticsearch, Redis.

    Real servers as plain processes on loopback, without Docker; data and logs are below .readmodels/. Servers that
    already run are kept. The first start downloads about 500 MB. The database contains the example's tables.
    """
    began = time.monotonic()
    stack = context_of(context).stack
    endpoints = stack.up(NullReport() if as_json else ConsoleReport(out))
    if stack.pid("postgres") is not None:
        with connect(endpoints.postgres) as connection:
            create_tables(connection)
    if as_json:
        print_json(orjson.loads(endpoints.to_json()))
        return
    out.print(f"[green]up[/] after {time.monotonic() - began:.1f} s; next: [bold]readmodels init[/]")


def down(context: typer.Context) -> None:
    """Stop the servers that `up` started, and nothing else. All data stays for the next `up`."""
    context_of(context).stack.down(ConsoleReport(out))
    out.print("[green]down[/]; delete the directory to remove its data too")

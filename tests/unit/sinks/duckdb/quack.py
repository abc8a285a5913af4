"""A store that is served through Quack, with its readers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from sinks.duckdb.serving import ServingSettings, files_of, load_extensions, serve
from sinks.duckdb.store import DuckdbStore
from stack.paths import LOOPBACK, free_ports

TOKEN = "sixteen and more characters"
Rows = list[tuple[object, ...]]

_ELSEWHERE = """
import json, sys
import duckdb
from sinks.duckdb.serving import load_extensions

address, token, *statements = sys.argv[1:]
with duckdb.connect() as connection:
    # A slow statement would draw its progress between the answers.
    connection.execute("SET enable_progress_bar = false")
    load_extensions(connection)
    connection.execute(f"CREATE SECRET (TYPE quack, TOKEN '{token}')")
    connection.execute(f"ATTACH '{address}' AS live")
    for statement in statements:
        try:
            print(json.dumps([*map(str, connection.execute(statement).fetchall())]))
        except duckdb.Error as error:
            print(json.dumps(f"{type(error).__name__}: {error}"))
"""


@dataclass(frozen=True)
class Reader:
    """A client with the token."""

    connection: duckdb.DuckDBPyConnection
    address: str

    def ask(self, query: str) -> Rows:
        """Return the store's answer to a query."""
        asked = "FROM quack_query(?, ?, token := ?)"
        return list(self.connection.execute(asked, [self.address, query, TOKEN]).fetchall())

    def elsewhere(self, *statements: str) -> list[list[str] | str]:
        """Run statements in another process, with the store as catalog `live`; return rows as text, or the error.

        In this process, a reader of the catalog would wait for the store while it has Python's interpreter lock.
        """
        line = [sys.executable, "-c", _ELSEWHERE, self.address, TOKEN, *statements]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        return [json.loads(answer) for answer in done.stdout.splitlines()]


@contextmanager
def reader_of(store: DuckdbStore, directory: Path) -> Iterator[Reader]:
    """Serve a store, which remains served, and yield a reader."""
    address = free_address()
    with (
        closing(serve(store.instance(), ServingSettings(address, TOKEN, files_of(directory)))),
        duckdb.connect() as connection,
    ):
        load_extensions(connection)
        yield Reader(connection, address)


def free_address() -> str:
    """Return an unused address of this machine."""
    return f"quack:{LOOPBACK}:{free_ports(1)[0]}"

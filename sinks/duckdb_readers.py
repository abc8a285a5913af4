"""What readers of DuckDB get while one process writes: Quack, and a published copy of the live tables.

Quack is DuckDB's client-server protocol. A reader shows the token, and may send one SELECT at a time: everything else
is refused before it runs. The published copy is a file that is replaced as a whole, for tools that embed DuckDB.

Source: https://duckdb.org/docs/current/quack/overview
"""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb

from sinks.duckdb_analytics import NONE, Analytics
from sinks.duckdb_errors import translated
from sinks.duckdb_live_names import tables_in
from sinks.duckdb_names import quote
from sinks.errors import SinkError, StoreUnavailable

EXTENSIONS = ("httpfs", "quack")
AUTHORIZATION = "readmodels_authorize"


class ReadersRefused(SinkError):
    """DuckDB cannot be served under the given address."""

    remedy = "Set `duckdb.serve` to an address that is free, and `duckdb.token` to at least four characters."


def load_extensions(connection: duckdb.DuckDBPyConnection) -> None:
    """Load what Quack needs from the installed packages; nothing is downloaded.

    Raises:
        ReadersRefused: a package is missing.
    """
    for name in EXTENSIONS:
        spec = find_spec(f"duckdb_extension_{name}")
        files = sorted(Path(spec.origin).parent.rglob("*.duckdb_extension")) if spec and spec.origin else []
        if not files:
            raise ReadersRefused(f"the package duckdb-extension-{name} is not installed")
        connection.execute(f"LOAD '{str(files[-1]).replace(chr(39), chr(39) * 2)}'")


def only_reads(query: str) -> bool:
    """Whether a query is exactly one SELECT that calls nothing that acts on the server or runs another query."""
    return _is_one_select(query) and _calls_only_functions_of_data(query)


def _is_one_select(query: str) -> bool:
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error:
        return False
    return len(statements) == 1 and statements[0].type == duckdb.StatementType.SELECT


@functools.cache
def _parser() -> duckdb.DuckDBPyConnection:
    """An empty database that only parses: making one takes longer than most queries."""
    return duckdb.connect()


def parsed(query: str) -> dict[str, Any]:
    """A SELECT as a tree, with a flag `error`; of whatever else there is only the flag."""
    with _parser().cursor() as parser:
        tree: dict[str, Any] = json.loads(parser.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0])
    return tree


def unparsed(tree: Mapping[str, Any]) -> str:
    """The SELECT that a tree stands for."""
    with _parser().cursor() as parser:
        return str(parser.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)]).fetchall()[0][0])


def _calls_only_functions_of_data(query: str) -> bool:
    # A PRAGMA counts as a SELECT where statements are told apart, and is an error here.
    tree = parsed(query)
    return not tree["error"] and not any(_ACTING.match(name) for name in _functions(tree))


_ACTING = re.compile(
    r"""quack_ | pragma_ | query$ | query_table$ | json_execute_serialized_sql$
        | (force_)?checkpoint$ | (enable|disable)_ | truncate_duckdb_logs$ | write_log$
        | duckdb_secrets$ | which_secret$ | (arrow|pandas)_scan | python_map_function$""",
    re.IGNORECASE | re.VERBOSE,
)
"""Functions that change the server, run a text as a query, tell secrets, or read memory at an address."""


def _functions(tree: object) -> Iterator[str]:
    """The names of all functions in a parsed query, wherever they stand."""
    if isinstance(tree, dict):
        if isinstance(name := tree.get("function_name"), str):
            yield name
        for branch in tree.values():
            yield from _functions(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from _functions(branch)


def _authorize(_session: str, query: str) -> bool:
    return only_reads(query)


def serve(instance: duckdb.DuckDBPyConnection, address: str, token: str, directories: Sequence[Path]) -> None:
    """Let readers in, for as long as the instance lives; from then on its configuration stands.

    Args:
        address: as `quack:127.0.0.1:9494`.
        directories: the only places whose files the instance may touch.

    Raises:
        ReadersRefused: the address is taken or malformed, or the token too short.
    """
    load_extensions(instance)
    instance.create_function(AUTHORIZATION, _authorize, ["VARCHAR", "VARCHAR"], "BOOLEAN")
    instance.execute(f"SET GLOBAL quack_authorization_function = '{AUTHORIZATION}'")
    elsewhere = not address.removeprefix("quack:").startswith(("127.", "localhost", "[::1]"))
    try:
        instance.execute("CALL quack_serve(?, token := ?, allow_other_hostname := ?)", [address, token, elsewhere])
    except duckdb.Error as error:
        raise ReadersRefused(f"DuckDB cannot be served at {address}: {type(error).__name__}") from error
    allowed = ", ".join(f"'{str(directory.absolute()).replace(chr(39), chr(39) * 2)}/'" for directory in directories)
    instance.execute(f"SET allowed_directories = [{allowed}]")
    instance.execute("SET enable_external_access = false")
    instance.execute("SET lock_configuration = true")


class Copies:
    """Publishes the live tables as a file, as often as it is due and at a bounded cost.

    Args:
        target: the file that readers open; replaced as a whole, so that one who has it open keeps what he has.
        analytics: what is made beside the tables; it costs nothing until it is asked.
        every_s: the shortest time between two copies; a copy that takes long makes the next wait longer.
    """

    _SHARE_OF_TIME = 0.05

    def __init__(self, target: Path, tables: Sequence[str], every_s: float, analytics: Analytics = NONE) -> None:
        self._target = target
        self._tables = tuple(tables)
        self._every_s = every_s
        self._analytics = analytics
        self._due_at = 0.0

    def publish_if_due(self, instance: duckdb.DuckDBPyConnection) -> bool:
        """Publish if the time has come; says whether it did.

        Raises:
            StoreUnavailable: the copy cannot be written now; it is due again after the usual time.
        """
        if time.monotonic() < self._due_at:
            return False
        began = time.monotonic()
        try:
            with translated("the published copy"):
                self.publish(instance)
        except OSError as error:
            raise StoreUnavailable(f"cannot write {self._target}: {error.strerror}") from error
        finally:
            took_s = time.monotonic() - began
            self._due_at = time.monotonic() + max(self._every_s, took_s / self._SHARE_OF_TIME)
        return True

    def publish(self, instance: duckdb.DuckDBPyConnection) -> None:
        """Write all tables as of one moment, and put them in place in one step."""
        pending = self._target.with_name(self._target.name + ".new")
        pending.parent.mkdir(parents=True, exist_ok=True)
        pending.unlink(missing_ok=True)
        with instance.cursor() as connection:
            # Hidden, since a reader who lists all tables meanwhile would keep the file attached, and so locked, for as
            # long as he reads.
            connection.execute(f"ATTACH '{str(pending).replace(chr(39), chr(39) * 2)}' AS published (HIDDEN)")
            try:
                connection.execute("BEGIN")
                # Their columns are those of the live names: a hidden database lists none.
                named = tables_in(connection, "memory")
                # One snapshot for all tables; a transaction writes one file only, and this is the one.
                for table in self._tables:
                    source = f"memory.main.{quote(table)}"
                    connection.execute(f"CREATE TABLE published.main.{quote(table)} AS SELECT * FROM {source}")
                connection.execute("USE published")
                for statement in self._analytics.statements((name, named[name]) for name in self._tables):
                    connection.execute(statement)
                connection.execute("COMMIT")
            finally:
                connection.execute("USE memory")
                connection.execute("DETACH published")
        pending.replace(self._target)

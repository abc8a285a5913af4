"""Access for DuckDB's readers while one process writes: a Quack server, and a published copy of the live tables.

Quack is DuckDB's client-server protocol. A reader sends the token and may run one SELECT at a time. Everything else is
refused before it runs. The published copy is a file that is replaced as a whole, for tools that embed DuckDB.

Source: https://duckdb.org/docs/current/quack/overview
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import duckdb

from sinks.duckdb.analytics_views import NO_VIEWS, AnalyticsViews
from sinks.duckdb.catalog import generation_path, generations_in
from sinks.duckdb.errors import translate_errors
from sinks.duckdb.live_views import list_tables
from sinks.duckdb.quack.proxy import QuackProxy
from sinks.duckdb.query_check import QueryRefused, require_reads
from sinks.duckdb.reader_limits import DEFAULT_LIMITS, ReaderLimits
from sinks.duckdb.sql_text import quote_identifier, quote_literal
from sinks.errors import SinkError, StoreUnavailable

EXTENSIONS = ("httpfs", "quack")
AUTHORIZATION = "readmodels_authorize"
LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 9494
MIN_TOKEN_LENGTH = 16
NEW_GENERATIONS = 1000
"""New generations whose files a worker can open before it must restart."""

_SUFFIXES = ("", ".wal", ".wal.checkpoint", ".wal.recovery")
"""Suffixes of the files that DuckDB creates for a database."""


_ADDRESS = re.compile(r"quack:(//)?(?P<host>\[[0-9a-fA-F:.]+\]|[^:/\[\]]+)(:(?P<port>\d{1,5}))?/?")


class ReadersRefused(SinkError):
    """DuckDB cannot be served at the configured address."""

    remedy = (
        "Set `duckdb.serve` to a free address of this machine, as `quack:127.0.0.1:9494`, and `duckdb.token` to at "
        "least 16 characters. Let other machines in through a reverse proxy with TLS, or, in a network that you trust, "
        "set `duckdb.serve_insecure = true`."
    )


def load_extensions(connection: duckdb.DuckDBPyConnection) -> None:
    """Load the extensions for Quack from the installed packages; nothing is downloaded.

    Raises:
        ReadersRefused: a package is missing.
    """
    for name in EXTENSIONS:
        spec = find_spec(f"duckdb_extension_{name}")
        files = sorted(Path(spec.origin).parent.rglob("*.duckdb_extension")) if spec and spec.origin else []
        if not files:
            raise ReadersRefused(f"the package duckdb-extension-{name} is not installed")
        connection.execute(f"LOAD {quote_literal(str(files[-1]))}")


@dataclass(frozen=True)
class LiveCatalog:
    """Names in an instance at the time of the call."""

    instance: duckdb.DuckDBPyConnection

    def has_macro(self, name: str) -> bool:
        return self._finds(_MACRO, [name])

    def has_relation(self, path: tuple[str, str, str]) -> bool:
        return self._finds(_RELATION, list(path))

    def _finds(self, query: str, names: list[str]) -> bool:
        with self.instance.cursor() as connection:
            return bool(connection.execute(query, names).fetchall())


_MACRO = """
    SELECT function_name FROM duckdb_functions()
    WHERE database_name = 'memory' AND NOT internal AND lower(function_name) = lower(?)
"""
_RELATION = """
    SELECT name FROM (
        SELECT database_name, schema_name, table_name AS name FROM duckdb_tables()
        UNION ALL SELECT database_name, schema_name, view_name FROM duckdb_views()
    )
    WHERE lower(name) = lower($3) AND CASE
        WHEN $1 <> '' THEN lower(database_name) = lower($1) AND lower(schema_name) = lower($2)
        WHEN $2 <> '' THEN
            (database_name IN ('memory', 'system') AND lower(schema_name) = lower($2))
            OR (lower(database_name) = lower($2) AND schema_name = 'main')
        ELSE database_name IN ('memory', 'system')
    END
"""


def files_of(directory: Path, copy_to: str = "") -> list[Path]:
    """Return the files that an instance may open while it serves readers: generations, the published copy, their logs.

    The list cannot be extended later, so it includes the files of future generations.
    """
    last = max(generations_in(directory), default=0)
    databases = [generation_path(directory, number) for number in range(1, last + NEW_GENERATIONS + 1)]
    if copy_to:
        databases += [Path(copy_to), pending_path(Path(copy_to))]
    return [path.with_name(path.name + suffix) for path in databases for suffix in _SUFFIXES]


@dataclass(frozen=True)
class ServingSettings:
    """Settings of the server for readers.

    Args:
        address: such as `quack:127.0.0.1:9494`.
        token: the password of all readers.
        files: the only files that the instance may open from then on.
        is_insecure: serve without TLS even at an address that other machines can reach.
    """

    address: str
    token: str
    files: Iterable[Path]
    bounds: ReaderLimits = DEFAULT_LIMITS
    is_insecure: bool = False


def serve(instance: duckdb.DuckDBPyConnection, served: ServingSettings) -> QuackProxy:
    """Serve readers until the returned proxy is closed. This locks the instance's configuration.

    Raises:
        ReadersRefused: the address is in use, malformed or not private, or the token is too short.
    """
    host, port = _host_and_port(served.address)
    if len(served.token) < MIN_TOKEN_LENGTH:
        raise ReadersRefused(f"duckdb.token has {len(served.token)} characters, and needs {MIN_TOKEN_LENGTH}")
    if not served.is_insecure and not _is_loopback(host):
        raise ReadersRefused(f"{served.address} can be reached from other machines, and readers are served without TLS")
    load_extensions(instance)
    catalog, reasons = LiveCatalog(instance), dict[str, str]()

    def authorize(session: str, query: str) -> bool:
        try:
            require_reads(query, catalog, served.bounds.max_query_bytes)
        except QueryRefused as refusal:
            reasons[session] = str(refusal)
            return False
        return True

    instance.create_function(AUTHORIZATION, authorize, ["VARCHAR", "VARCHAR"], "BOOLEAN")
    instance.execute(f"SET GLOBAL quack_authorization_function = '{AUTHORIZATION}'")
    private_token, private_port = secrets.token_urlsafe(24), _free_port()
    instance.execute("CALL quack_serve(?, token := ?)", [f"quack:{LOOPBACK}:{private_port}", private_token])
    front = QuackProxy(
        (LOOPBACK, private_port),
        served.token,
        private_token,
        served.bounds,
        lambda session: reasons.pop(session, "it does more than read"),
    )
    try:
        front.open(host, port)
    except OSError as error:
        front.close()
        raise ReadersRefused(f"DuckDB cannot be served at {served.address}: {error.strerror}") from error
    instance.execute(f"SET max_temp_directory_size = {quote_literal(served.bounds.max_spill)}")
    instance.execute(f"SET allowed_paths = [{', '.join(quote_literal(str(path.absolute())) for path in served.files)}]")
    instance.execute("SET enable_external_access = false")
    instance.execute("SET lock_configuration = true")
    return front


def memory_bytes(instance: duckdb.DuckDBPyConnection, headroom: str) -> tuple[int, int]:
    """Return an instance's memory limit, and a size such as `2GB`, in bytes."""
    query = "SELECT parse_formatted_bytes(current_setting('memory_limit')), parse_formatted_bytes(?)"
    with instance.cursor() as connection:
        [(limit_bytes, headroom_bytes)] = connection.execute(query, [headroom]).fetchall()
    return int(limit_bytes), int(headroom_bytes)


def _host_and_port(address: str) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ReadersRefused(f"{address} is no address as quack:127.0.0.1:{DEFAULT_PORT}")
    return found["host"].strip("[]"), int(found["port"] or DEFAULT_PORT)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as free:
        port: int = free.getsockname()[1]
    return port


def pending_path(target: Path) -> Path:
    """Return the path at which a copy is written before it replaces `target`."""
    return target.with_name(target.name + ".new")


class PublishedCopy:
    """Publisher that copies the live tables to a file, at an interval and a bounded cost.

    Args:
        target: the file that readers open. It is replaced as a whole, so that a reader keeps the copy that it has open.
        analytics: the views beside the tables; they cost nothing until they are queried.
        every_s: the minimum interval between two copies. After a copy that takes long, the interval is longer.
        mode: the permissions of the file.
    """

    _SHARE_OF_TIME = 0.05

    def __init__(
        self,
        target: Path,
        tables: Sequence[str],
        every_s: float,
        analytics: AnalyticsViews = NO_VIEWS,
        mode: int = 0o600,
    ) -> None:
        self._target = target
        self._tables = tuple(tables)
        self._every_s = every_s
        self._analytics = analytics
        self._mode = mode
        self._due_at = 0.0

    def publish_if_due(self, instance: duckdb.DuckDBPyConnection) -> bool:
        """Publish a copy if it is due, and return whether it was.

        Raises:
            StoreUnavailable: the copy cannot be written now. The next attempt follows after the usual interval.
        """
        if time.monotonic() < self._due_at:
            return False
        began = time.monotonic()
        try:
            with translate_errors("the published copy"):
                self.publish(instance)
        except OSError as error:
            raise StoreUnavailable(f"cannot write {self._target}: {error.strerror}") from error
        finally:
            took_s = time.monotonic() - began
            self._due_at = time.monotonic() + max(self._every_s, took_s / self._SHARE_OF_TIME)
        return True

    def publish(self, instance: duckdb.DuckDBPyConnection) -> None:
        """Write all tables as of one point in time, and replace the target in one step."""
        pending = pending_path(self._target)
        pending.parent.mkdir(parents=True, exist_ok=True)
        pending.unlink(missing_ok=True)
        with instance.cursor() as connection:
            # The database is hidden: a reader that lists all tables in the meantime would otherwise keep the file
            # attached, and so locked, as long as its query runs.
            connection.execute(f"ATTACH {quote_literal(str(pending))} AS published (HIDDEN)")
            try:
                connection.execute("BEGIN")
                # The columns come from the live views, because a hidden database lists none.
                named = list_tables(connection, "memory")
                # One transaction gives one snapshot of all tables. A transaction writes to one file only, which is this
                # copy.
                for table in self._tables:
                    source = f"memory.main.{quote_identifier(table)}"
                    connection.execute(
                        f"CREATE TABLE published.main.{quote_identifier(table)} AS SELECT * FROM {source}"
                    )
                connection.execute("USE published")
                for statement in self._analytics.create_statements((name, named[name]) for name in self._tables):
                    connection.execute(statement)
                connection.execute("COMMIT")
            finally:
                connection.execute("USE memory")
                connection.execute("DETACH published")
        pending.chmod(self._mode)
        pending.replace(self._target)

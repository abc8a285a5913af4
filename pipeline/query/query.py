"""Queries of DuckDB, whether or not a worker is writing to it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass, replace
from datetime import datetime

import duckdb
import pyarrow as pa

from pipeline.config import DuckdbSettings, Settings
from pipeline.epochs.offset_sink import read_epochs
from pipeline.ingest.epoch_history import EpochHistory
from pipeline.query.as_of import rewrite_as_of
from pipeline.stores.duckdb.read_model import open_duckdb
from sinks.duckdb.analytics_views import shipped_views
from sinks.duckdb.progress_query import ReadPosition, parse_position, position_query
from sinks.duckdb.quack.proxy import REFUSED
from sinks.duckdb.query_check import AnyName, QueryRefused, require_reads
from sinks.duckdb.serving import LiveCatalog, load_extensions
from sinks.duckdb.store import DuckdbStore, WriterLockHeld, catalog_name
from sinks.errors import GenerationMissing

POSITION_TIMEOUT_S = 0.5
"""Maximum time that a query waits for the read position of its result."""


JSON_MARK = {b"duckdb": b"JSON"}
"""Metadata of an Arrow field whose texts are JSON."""


class QueryFailed(Exception):
    """DuckDB could not run the statement."""

    remedy = "Correct the statement: `SHOW ALL TABLES` and `DESCRIBE orders` list the tables and the columns of one."


class QuackNotServed(Exception):
    """A worker has locked DuckDB, and does not serve readers."""

    remedy = "Set `duckdb.serve` and `duckdb.token` for the worker and for this command, and restart the worker."


@dataclass(frozen=True)
class QueryResult:
    """Rows, and the read position of their generation; None if it was not read in time."""

    rows: pa.Table
    place: ReadPosition | None

    def in_log(self, epoch_history: EpochHistory) -> QueryResult:
        """Convert the read position to log offsets."""
        if self.place is None:
            return self
        return replace(self, place=replace(self.place, offsets=epoch_history.all_to_log(self.place.offsets)))


def run_query(settings: Settings, query: str, moment: datetime | None = None) -> pa.Table:
    """Run a SELECT over the live tables; see `query_with_position`."""
    return query_with_position(settings, query, moment).rows


def query_with_position(settings: Settings, query: str, moment: datetime | None = None) -> QueryResult:
    """Run a SELECT over the live tables, and read the position of its result.

    Args:
        moment: if given, the tables are those of that moment.

    Raises:
        QueryRefused: the statement is not a SELECT, or exceeds a limit.
        QueryFailed: DuckDB rejected it; the message is DuckDB's.
        NoHistory: it cannot be run as of a moment.
        QuackNotServed: a worker has locked DuckDB and does not serve readers.
        GenerationMissing: there is no DuckDB model yet.
    """
    require_reads(query, AnyName(), settings.duckdb.max_query_bytes)
    if moment is not None:
        query = rewrite_as_of(query, moment, settings.tables, shipped_views(settings.duckdb.time_zone))
    store = open_duckdb(settings)
    live = store.live()
    if live is None:
        raise GenerationMissing(f"DuckDB has no generation yet in {settings.duckdb.directory}")
    place, epoch_history = position_query(catalog_name(live), settings.tables), read_epochs(store, live)
    try:
        store.open()
    except WriterLockHeld:
        return _ask_worker(settings.duckdb, query, place).in_log(epoch_history)
    try:
        connection = _locked_down(store)
        require_reads(query, LiveCatalog(store.instance()))
        rows = _answer(lambda: to_table(connection.execute(query)))
        return QueryResult(rows, parse_position(connection.execute(place))).in_log(epoch_history)
    finally:
        store.close()


def to_table(result: duckdb.DuckDBPyConnection) -> pa.Table:
    """Read a result. Columns of JSON are marked in the schema, because in Arrow they are text."""
    types = [str(column[1]) for column in result.description or ()]
    rows = result.to_arrow_table()
    fields = [
        field.with_metadata(JSON_MARK) if kind.rstrip("[]") == "JSON" else field
        for field, kind in zip(rows.schema, types, strict=True)
    ]
    return rows.cast(pa.schema(fields))


def _locked_down(store: DuckdbStore) -> duckdb.DuckDBPyConnection:
    connection = store.instance().cursor()
    connection.execute("SET enable_external_access = false")
    return connection


def _ask_worker(served: DuckdbSettings, query: str, place: str) -> QueryResult:
    if not served.serve:
        raise QuackNotServed("a worker holds DuckDB and serves no readers")

    def send(connection: duckdb.DuckDBPyConnection, text: str) -> duckdb.DuckDBPyConnection:
        return connection.execute("FROM quack_query(?, ?, token := ?)", [served.serve, text, served.token])

    with duckdb.connect() as connection:
        load_extensions(connection)
        asking = ThreadPoolExecutor(1)
        where = asking.submit(lambda: parse_position(send(connection.cursor(), place)))
        try:
            # Read the position first: the result may then be newer than reported, never older.
            told = _in_time(where)
            return QueryResult(_answer(lambda: to_table(send(connection, query))), told)
        except duckdb.IOException as error:
            raise QuackNotServed(f"no worker answers at {served.serve}") from error
        finally:
            connection.interrupt()
            asking.shutdown()


def _in_time(where: Future[ReadPosition]) -> ReadPosition | None:
    try:
        return where.result(POSITION_TIMEOUT_S)
    except (TookTooLong, duckdb.Error):
        return None


def _answer(execute: Callable[[], pa.Table]) -> pa.Table:
    try:
        return execute()
    except duckdb.IOException:
        raise
    except duckdb.Error as error:
        _, is_refused, reason = str(error).partition(REFUSED)
        if is_refused:
            raise QueryRefused(reason.partition("\n")[0]) from error
        raise QueryFailed(str(error)) from error

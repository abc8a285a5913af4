"""Questions to DuckDB, whether or not a worker is writing it."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from pipeline.config import Settings
from pipeline.read_models import open_duckdb
from sinks.duckdb_readers import load_extensions, only_reads
from sinks.duckdb_store import DuckdbStore, WriterElsewhere
from sinks.errors import GenerationMissing


class QueryRefused(ValueError):
    """The statement is not exactly one SELECT, or does more than read."""

    remedy = "Ask with one SELECT statement; the read models are written by the workers only."


class QueryFailed(Exception):
    """DuckDB could not answer the statement."""

    remedy = "Correct the statement; `SHOW ALL TABLES` and `DESCRIBE orders` tell what there is."


class ReadersNotServed(Exception):
    """A worker holds DuckDB, but does not let readers in."""

    remedy = "Set `duckdb.serve` and `duckdb.token` for the worker and for this command, or read the published copy."


def ask(settings: Settings, query: str) -> pa.Table:
    """Answer a SELECT over the live tables.

    Raises:
        QueryRefused: it is something else.
        QueryFailed: DuckDB's own objection, in its words.
        ReadersNotServed: a worker holds DuckDB and serves nobody.
        GenerationMissing: there is no DuckDB model yet.
    """
    if not only_reads(query):
        raise QueryRefused("only a single SELECT is answered, and only where it does nothing but read")
    store = open_duckdb(settings)
    if store.live() is None:
        raise GenerationMissing(f"DuckDB has no generation yet in {settings.duckdb.directory}")
    try:
        store.open()
    except WriterElsewhere:
        return _ask_worker(settings, query)
    try:
        return _answer(_locked_down(store), query)
    finally:
        store.close()


def _locked_down(store: DuckdbStore) -> duckdb.DuckDBPyConnection:
    connection = store.instance().cursor()
    connection.execute("SET enable_external_access = false")
    return connection


def _ask_worker(settings: Settings, query: str) -> pa.Table:
    if not settings.duckdb.serve:
        raise ReadersNotServed("a worker holds DuckDB and serves no readers")
    with duckdb.connect() as connection:
        load_extensions(connection)
        try:
            asked = connection.execute(
                "FROM quack_query(?, ?, token := ?)", [settings.duckdb.serve, query, settings.duckdb.token]
            )
            return asked.to_arrow_table()
        except duckdb.IOException as error:
            raise ReadersNotServed(f"nobody answers at {settings.duckdb.serve}") from error
        except duckdb.Error as error:
            raise QueryFailed(str(error)) from error


def _answer(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    try:
        return connection.execute(query).to_arrow_table()
    except duckdb.Error as error:
        raise QueryFailed(str(error)) from error

"""What readers of DuckDB see: a SELECT, to the worker that holds the store, or to its files where none does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from pipeline.config import Settings
from pipeline.read_models import open_duckdb
from pipeline.sql import ReadersNotServed
from pipeline.verify.duckdb_text import json_text, key_text
from pipeline.verify.subject import Subject, tables
from sinks.batch import Shard
from sinks.duckdb_names import quote
from sinks.duckdb_readers import load_extensions
from sinks.duckdb_store import DuckdbStore, WriterElsewhere, catalog
from sinks.errors import GenerationMissing, StoreUnavailable

PAGE_ROWS = 20_000
QUIET = "SET enable_progress_bar = false"
"""DuckDB would draw a bar on standard output when a query takes long."""

Ask = Callable[[str], duckdb.DuckDBPyConnection]


@dataclass(frozen=True)
class DuckdbShown:
    """The live tables.

    Args:
        ask: runs a SELECT where the tables are.
    """

    subjects: tuple[Subject, ...]
    store: DuckdbStore
    ask: Ask

    def progress(self) -> Mapping[Shard, int]:
        books = f"{catalog(_live(self.store))}.readmodels.progress"
        rows = self.ask(f"SELECT topic, partition, next_offset FROM {books}").fetchall()  # noqa: S608 - our own name
        return {(topic, partition): offset for topic, partition, offset in rows}

    def pages(self, subject: Subject) -> Iterator[pa.Table]:
        reader = self.ask(_select(subject)).to_arrow_reader(PAGE_ROWS)
        for batch in reader:
            yield pa.Table.from_batches([batch])

    def some(self, subject: Subject, keys: Sequence[str]) -> dict[str, str]:
        wanted = ", ".join(_literal(key) for key in keys)
        rows = self.ask(f"{_select(subject)} WHERE {key_text(subject.root)} IN ({wanted})").fetchall()
        return dict(rows)


@contextmanager
def duckdb_shown(settings: Settings) -> Iterator[DuckdbShown]:
    """Open the analytics store as its readers do.

    Raises:
        GenerationMissing: there is no DuckDB model yet.
        ReadersNotServed: a worker holds it and serves nobody.
    """
    subjects = tables(settings.contract)
    with closing(open_duckdb(settings)) as store:
        _live(store)
        try:
            store.open()
        except WriterElsewhere:
            with _through_worker(settings) as ask:
                yield DuckdbShown(subjects, store, ask)
        else:
            with store.instance().cursor() as connection:
                connection.execute(QUIET)
                yield DuckdbShown(subjects, store, _translated(connection.execute))


def _live(store: DuckdbStore) -> int:
    generation = store.live()
    if generation is None:
        raise GenerationMissing("no generation of duckdb is live")
    return generation


@contextmanager
def _through_worker(settings: Settings) -> Iterator[Ask]:
    address, token = settings.duckdb.serve, settings.duckdb.token
    if not address:
        raise ReadersNotServed("a worker holds DuckDB and serves no readers")
    with duckdb.connect() as connection:
        load_extensions(connection)
        connection.execute(QUIET)
        yield _translated(
            lambda query: connection.execute("FROM quack_query(?, ?, token := ?)", [address, query, token])
        )


def _translated(ask: Ask) -> Ask:
    def asked(query: str) -> duckdb.DuckDBPyConnection:
        try:
            return ask(query)
        except duckdb.IOException as error:
            raise ReadersNotServed("nobody answers for DuckDB") from error
        except duckdb.Error as error:
            raise StoreUnavailable(f"DuckDB does not answer: {type(error).__name__}") from error

    return asked


def _select(subject: Subject) -> str:
    key, text = key_text(subject.root), json_text(subject.root)
    return f"SELECT {key} AS key, {text} AS text FROM {quote(subject.name)}"  # noqa: S608 - names are quoted


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

"""Reader of DuckDB: sends a SELECT to the worker that has the store open, or opens the files if no worker runs.

The tables of a generation that is not live are read directly because the live names lead to other tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from pipeline.config import Settings
from pipeline.epochs.offset_sink import open_sink, to_log_offsets
from pipeline.query.query import QuackNotServed
from pipeline.stores.duckdb.read_model import open_duckdb
from pipeline.verify.comparison_set import ComparisonSet, tables
from pipeline.verify.readers.duckdb_text import json_text, key_text
from sinks.batch import TopicPartition
from sinks.duckdb.errors import unavailable
from sinks.duckdb.remote.client import RemoteDuckdbStore
from sinks.duckdb.serving import load_extensions
from sinks.duckdb.sql_text import quote_identifier, quote_literal
from sinks.duckdb.store import WriterLockHeld, catalog_name
from sinks.errors import GenerationMissing
from sinks.sink import Sink, Store

PAGE_ROWS = 100_000
MAX_KEYS_BYTES = 50_000
"""Size in bytes of the keys in one query. The rest of `ReaderLimits.max_query_bytes` is for the column names."""

QUIET = "SET enable_progress_bar = false"
"""Setting that stops DuckDB from drawing a progress bar on standard output during a long query."""

Ask = Callable[[str], duckdb.DuckDBPyConnection]


@dataclass(frozen=True)
class DuckdbReader:
    """Reader of the live tables, or of the tables of a generation.

    Args:
        store: the store of this process, or the client of the worker's store.
        generation: None for the live one.
        ask: runs a SELECT in the process that has the tables open.
    """

    subjects: tuple[ComparisonSet, ...]
    store: Store
    generation: int | None
    ask: Ask

    def sink(self) -> Sink:
        return open_sink(self.store, _number(self.store, self.generation))

    def progress(self) -> Mapping[TopicPartition, int]:
        number = _number(self.store, self.generation)
        books = f"{catalog_name(number)}.readmodels.progress"
        rows = self.ask(f"SELECT topic, partition, next_offset FROM {books}").fetchall()  # noqa: S608 - our own name
        return to_log_offsets(self.store, number, {(topic, partition): offset for topic, partition, offset in rows})

    def scan(self, subject: ComparisonSet) -> Iterator[pa.Table]:
        # Compute the digest where the rows are read, so that the texts are not transferred.
        query = f"SELECT key, md5(text) AS digest FROM ({self._select(subject)})"  # noqa: S608 - a query of our own
        reader = self.ask(query).to_arrow_reader(PAGE_ROWS)
        for batch in reader:
            yield pa.Table.from_batches([batch])

    def lookup(self, subject: ComparisonSet, keys: Sequence[str]) -> dict[str, str]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for wanted in _listed(keys):
            rows = self.ask(f"{self._select(subject)} WHERE {key_text(subject.root)} IN ({wanted})").fetchall()
            for key, text in rows:
                found[key].append(text)
        # A DuckDB table has no primary key. Join the texts of duplicates: the result equals the text of no row.
        return {key: "\n".join(texts) for key, texts in found.items()}

    def rejected(self, subject: ComparisonSet, keys: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def _select(self, subject: ComparisonSet) -> str:
        table = quote_identifier(subject.name)
        name = table if self.generation is None else f"{catalog_name(self.generation)}.main.{table}"
        key, text = key_text(subject.root), json_text(subject.root)
        return f"SELECT {key} AS key, {text} AS text FROM {name}"  # noqa: S608 - names are quoted


def _listed(keys: Sequence[str]) -> Iterator[str]:
    """Yield lists of keys for queries that a worker accepts, see `sinks.duckdb.reader_limits`."""
    some: list[str] = []
    length = 0
    for one in map(quote_literal, keys):
        length += len(one.encode())
        if some and length > MAX_KEYS_BYTES:
            yield ", ".join(some)
            some, length = [], len(one.encode())
        some.append(one)
    if some:
        yield ", ".join(some)


@contextmanager
def open_duckdb_reader(settings: Settings, generation: int | None = None) -> Iterator[DuckdbReader]:
    """Open the analytics store for reading: the live tables, or those of `generation` if it is given.

    Raises:
        GenerationMissing: the generation does not exist, or none is live.
        QuackNotServed: a worker has the store open and serves no readers.
    """
    subjects = tables(settings.definitions)
    with closing(open_duckdb(settings)) as store:
        number = _number(store, generation)
        try:
            store.open()
        except WriterLockHeld:
            with _through_worker(settings) as ask:
                yield DuckdbReader(subjects, RemoteDuckdbStore(settings.duckdb.directory), generation, ask)
        else:
            store.attach(number)
            with store.instance().cursor() as connection:
                connection.execute(QUIET)
                yield DuckdbReader(subjects, store, generation, _translated(connection.execute))


def _number(store: Store, generation: int | None) -> int:
    number = store.live() if generation is None else generation
    if number is None:
        raise GenerationMissing("no generation of duckdb is live")
    if number not in store.generations():
        raise GenerationMissing(f"DuckDB has no generation {number}")
    return number


@contextmanager
def _through_worker(settings: Settings) -> Iterator[Ask]:
    address, token = settings.duckdb.serve, settings.duckdb.token
    if not address:
        raise QuackNotServed("a worker holds DuckDB and serves no readers")
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
            raise QuackNotServed("no worker serves DuckDB") from error
        except duckdb.Error as error:
            raise unavailable("duckdb", error) from error

    return asked

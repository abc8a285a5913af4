"""Production code with one deliberate fault each, which the simulation must detect."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from unittest.mock import patch

from redis.exceptions import ConnectionError

from pipeline.ingest.worker import Worker
from sinks.batch import Batch, OffsetRange, Progress
from sinks.duckdb.sink import DuckdbSink
from sinks.duckdb.tables import TableStatements
from sinks.elasticsearch.bulk import BulkWrite
from sinks.elasticsearch.document_index import DocumentIndex
from sinks.elasticsearch.mapping import METADATA_FIELD
from sinks.elasticsearch.versioned_index import Update, VersionedIndex
from sinks.redis.connection import Session
from sinks.redis.generation import RedisGeneration
from sinks.redis.store import RedisSink


class Broken(NamedTuple):
    """One faulty piece of code, and a model in which the fault shows."""

    name: str
    model: str
    pieces: Sequence[Callable[[], AbstractContextManager[Any]]]


def _conflict_is_done() -> AbstractContextManager[Any]:
    attempt = VersionedIndex._attempt

    def once(index: VersionedIndex, *arguments: Any) -> list[str]:
        attempt(index, *arguments)
        return []

    return patch.object(VersionedIndex, "_attempt", once)


def _writes_replace_anything() -> AbstractContextManager[Any]:
    return patch.object(BulkWrite, "_action", lambda write: b'{"index":{"_id":"%b"}}\n' % write.id.encode())


def _progress_first_in_elasticsearch() -> AbstractContextManager[Any]:
    write = DocumentIndex.write

    def progress_first(index: DocumentIndex, batch: Batch) -> None:
        index._begin(batch.span)
        index._advance(batch.span)
        write(index, batch)

    return patch.object(DocumentIndex, "write", progress_first)


def _progress_first_in_redis() -> AbstractContextManager[Any]:
    merge = RedisSink._merge

    def progress_first(sink: RedisSink, generation: RedisGeneration, batch: Batch) -> None:
        generation.move_progress(batch.span)
        merge(sink, generation, batch)

    return patch.object(RedisSink, "_merge", progress_first)


def _progress_first_in_duckdb() -> AbstractContextManager[Any]:
    write = DuckdbSink.write

    def progress_first(sink: DuckdbSink, batch: Batch) -> None:
        write(sink, Batch(span=batch.span))
        write(sink, Batch(batch.mutations, batch.range_tombstones, OffsetRange({}, {})))

    return patch.object(DuckdbSink, "write", progress_first)


def _any_span_is_taken() -> AbstractContextManager[Any]:
    return patch.object(Progress, "require_contiguous", lambda *_: None)


def _nobody_looks_back() -> AbstractContextManager[Any]:
    return patch.object(Worker, "_check_progress", lambda *_: None)


def _memory_is_trusted() -> AbstractContextManager[Any]:
    def writes(index: VersionedIndex, ids: Sequence[str], revise: Update, _: object) -> Iterator[BulkWrite]:
        for id_ in ids:
            stored = index._memory.get(id_) or index.load([id_]).get(id_)
            source = revise(id_, stored.source if stored else None)
            if source is not None:
                yield BulkWrite(id_, source, stored)

    return patch.object(VersionedIndex, "_writes", writes)


def _hidden_documents_are_deleted() -> AbstractContextManager[Any]:
    line = BulkWrite.to_ndjson

    def delete(write: BulkWrite) -> bytes:
        if b'"%b":{"kind":"hidden"' % METADATA_FIELD.encode() in write.source:
            return b'{"delete":{"_id":"%b"}}\n' % write.id.encode()
        return line(write)

    return patch.object(BulkWrite, "to_ndjson", delete)


def _connections_are_renewed() -> AbstractContextManager[Any]:
    ask = Session._ask

    def again(link: Session, command: list[bytes | memoryview]) -> Any:
        try:
            return ask(link, command)
        except ConnectionError:
            link._connection.connect()  # type: ignore[no-untyped-call]
            return ask(link, command)

    return patch.object(Session, "_ask", again)


def _first_version_wins() -> AbstractContextManager[Any]:
    insert = TableStatements.insert_registers

    def unless_there(statements: TableStatements, present: Collection[str]) -> str:
        return f"{insert(statements, present)} WHERE id NOT IN (SELECT id FROM {statements.registers})"

    return patch.multiple(TableStatements, insert_registers=unless_there, delete_incoming_keys=lambda _: "SELECT 1")


BROKEN = (
    Broken("a conflict counts as done", "elasticsearch", [_conflict_is_done]),
    Broken("a write replaces whatever is there", "elasticsearch", [_writes_replace_anything]),
    Broken("what readers do not see is deleted", "elasticsearch", [_hidden_documents_are_deleted]),
    Broken("memory says that nothing has to be written", "elasticsearch", [_memory_is_trusted]),
    Broken("progress is stored before the documents", "elasticsearch", [_progress_first_in_elasticsearch]),
    Broken("progress is stored before the documents", "redis", [_progress_first_in_redis]),
    Broken("progress is stored in a transaction of its own", "duckdb", [_progress_first_in_duckdb]),
    Broken("nobody sees that a store went back", "elasticsearch", [_any_span_is_taken, _nobody_looks_back]),
    Broken("nobody sees that a store went back", "redis", [_any_span_is_taken, _nobody_looks_back]),
    Broken("a connection that broke in a batch is renewed", "redis", [_connections_are_renewed]),
    Broken("of two versions the first one wins", "duckdb", [_first_version_wins]),
)

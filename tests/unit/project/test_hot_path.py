"""Tests that no Python runs per record between poll and bulk write: to DuckDB, and to the bytes sent to Redis."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from connectors.schema_lookup import NegativeCache
from pipeline import read_models
from pipeline.ingest.partition_buffer import by_topic
from pipeline.ingest.projection import DocumentProjection, RowProjection
from pipeline.log_scan.scan import Scanner
from sinks.batch import Batch, Progress
from sinks.duckdb.store import DuckdbStore
from sinks.memory import MemoryStore
from sinks.redis.resp import encode_documents
from tests.support.hot_path import PARTITIONS, KnownSchemas, calls, carry, grown, messages, settings, told

FEW, MANY = 1_000, 10_000
NOT_PER_RECORD = (MANY - FEW) // 100
"""Calls that 9,000 records may add without being one per record: larger arrays come in more chunks."""


@pytest.fixture(scope="module", autouse=True)
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Prepare the records and the imports, whose cost is not per record."""
    for count in (FEW, MANY):
        assert len(messages(count)) >= count
    _into_duckdb(FEW, tmp_path_factory.mktemp("first"))


@pytest.fixture(autouse=True)
def _never_looks_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable reads of the store's progress: their number depends on time, not on records."""
    monkeypatch.setattr("pipeline.ingest.worker.PROGRESS_CHECK_INTERVAL_S", math.inf)


@dataclass
class Encoded:
    """A sink that encodes batches for Redis, and discards the bytes."""

    document_count: int = field(default=0)

    def prepare(self) -> None:
        pass

    def progress(self) -> Progress:
        return Progress()

    def write(self, batch: Batch) -> None:
        for mutations in batch.mutations:
            self.document_count += len(encode_documents(f"{mutations.target}:", mutations.changes))

    def cutover(self) -> None:
        pass


def test_no_python_call_is_made_per_record_from_poll_to_duckdb(tmp_path: Path) -> None:
    few, many = (calls(partial(_into_duckdb, count, tmp_path / str(count))) for count in (FEW, MANY))
    assert grown(few, many, by=NOT_PER_RECORD) == {}
    assert many.total() - few.total() < NOT_PER_RECORD


def test_the_records_that_were_counted_are_the_rows_of_duckdb(tmp_path: Path) -> None:
    with closing(_store(tmp_path)) as store:
        carry(MANY, store.sink(1), RowProjection(settings().definitions))
        store.set_live(1)
        for table, living in (("orders", told(MANY).orders), ("order_items", told(MANY).items)):
            [(count,)] = store.instance().execute(f"SELECT count(*) FROM {table}").fetchall()
            assert count == len(living)


def test_no_python_call_is_made_per_record_from_poll_to_what_redis_is_sent() -> None:
    few, many = (calls(partial(_into_bytes, count)) for count in (FEW, MANY))
    assert grown(few, many, by=NOT_PER_RECORD) == {}
    assert many.total() - few.total() < NOT_PER_RECORD


def test_a_call_per_record_would_be_seen() -> None:
    few, many = (calls(partial(_into_memory, count)) for count in (FEW, MANY))
    assert "register.merge_registers" in grown(few, many, by=NOT_PER_RECORD)


def _into_duckdb(count: int, folder: Path) -> None:
    with closing(_store(folder)) as store:
        carry(count, store.sink(1), RowProjection(settings().definitions))


def _store(folder: Path) -> DuckdbStore:
    return DuckdbStore(folder, settings().definitions.row_shapes())


def _into_bytes(count: int) -> None:
    sink = Encoded()
    carry(count, sink, DocumentProjection(settings().definitions))
    assert sink.document_count > 0


def _into_memory(count: int) -> None:
    definitions = settings().definitions
    carry(count, MemoryStore(definitions.document_shapes()).sink(1), DocumentProjection(definitions))


def test_no_python_call_is_made_per_record_of_a_survey() -> None:
    few, many = (calls(partial(_surveyed, count)) for count in (FEW, MANY))
    assert grown(few, many, by=NOT_PER_RECORD) == {}
    assert many.total() - few.total() < NOT_PER_RECORD


def test_the_records_that_were_surveyed_are_those_of_the_log() -> None:
    found = _surveyed(MANY)
    topic_partitions = [
        (topic, partition) for topic in settings().definitions.topics for partition in range(PARTITIONS)
    ]
    assert sum(found.partition(topic_partition, 0, 0).records for topic_partition in topic_partitions) == len(
        messages(MANY)
    )
    assert not found.unreadable


def _surveyed(count: int) -> Scanner:
    schemas = NegativeCache(KnownSchemas())
    found = Scanner(read_models.decoder(settings(), schemas), schemas)
    for records in by_topic(messages(count)):
        found.take(records)
    return found

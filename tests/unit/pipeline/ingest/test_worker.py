"""Tests of the worker between a scripted source and a sink in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import cast

import numpy as np
import pyarrow as pa
import pytest

from connectors.decode.decoder import DecodedBatch, Decoder, RejectedRecord
from connectors.envelope import SourceTable, envelope_schema
from connectors.records import RecordBatch
from pipeline.crash_report import describe_error
from pipeline.definitions import ModelDefinitions, TableDefinition
from pipeline.ingest.accumulator import BatchAccumulator
from pipeline.ingest.buffer import EMPTY_BATCH, PolledBatch
from pipeline.ingest.projection import RowProjection
from pipeline.ingest.source import KafkaSource
from pipeline.ingest.worker import RecordRejected, Worker
from pipeline.worker_settings import CAUGHT_UP_RECORDS, AccumulatorSettings
from sinks.batch import Batch, OffsetRange, Progress, TopicPartition
from sinks.errors import GenerationBroken, MutationRejected
from sinks.memory import MemorySink, MemoryStore

CONTRACT = ModelDefinitions(
    topic_prefix="cdc",
    tables={"orders": TableDefinition(source="public.orders", key=("id",), columns={"id": "bigint"})},
    documents={},
)
TOPIC = CONTRACT.topic("orders")
TOPIC_PARTITION = (TOPIC, 0)


class ScriptedSource:
    """A source that delivers given batches, and records the calls of the worker."""

    def __init__(self, *batches: PolledBatch) -> None:
        self._batches = batches
        self.told: list[tuple[str, object]] = []
        self.given: dict[TopicPartition, int] = {}

    def batches(self, stop: threading.Event, after: Callable[[], Progress]) -> Iterator[PolledBatch]:
        after()
        for batch in self._batches:
            if stop.is_set():
                return
            yield batch

    def commit(self, span: OffsetRange) -> None:
        self.told.append(("commit", dict(span.end)))

    def lag(self) -> int:
        return CAUGHT_UP_RECORDS

    def positions(self) -> dict[TopicPartition, int]:
        return self.given

    def rewind(self, stored: Mapping[TopicPartition, int]) -> None:
        self.told.append(("rewind", dict(stored)))


class ScriptedDecoder:
    """A decoder for values that are ids of orders; `bad` cannot be decoded."""

    def decode(self, records: RecordBatch) -> DecodedBatch:
        rows, rejected = [], []
        for offset, value in zip(records.offsets.tolist(), records.values, strict=True):
            if value == b"bad":
                rejected.append(RejectedRecord(records.topic, 0, offset, "cut short"))
                continue
            rows.append(
                {
                    "partition": 0,
                    "offset": offset,
                    "op": "c",
                    "snapshot": False,
                    "commit_lsn": offset,
                    "lsn": offset,
                    "committed_at": 0,
                    "after": {"id": int(value or b"0")},
                }
            )
        schema = envelope_schema(SourceTable("public.orders", {"id": "bigint"}))
        return DecodedBatch([pa.Table.from_pylist(rows, schema=schema)], rejected, 0)


def polled(begin: int, *values: bytes) -> PolledBatch:
    offsets = np.arange(begin, begin + len(values), dtype=np.int64)
    records = RecordBatch(TOPIC, np.zeros(len(values), np.int32), offsets, [None] * len(values), list(values))
    return PolledBatch((records,), OffsetRange({TOPIC_PARTITION: begin}, {TOPIC_PARTITION: begin + len(values)}))


def carried(
    source: ScriptedSource, accumulator: BatchAccumulator | None = None
) -> tuple[MemoryStore, Worker, MemorySink]:
    store = MemoryStore(CONTRACT.row_shapes())
    sink = store.sink(1)
    decoder, projection = cast("Decoder", ScriptedDecoder()), RowProjection(CONTRACT)
    return store, Worker(cast("KafkaSource", source), decoder, projection, sink, CONTRACT.topics, accumulator), sink


def test_a_builder_writes_once_what_came_in_many_batches() -> None:
    source = ScriptedSource(
        *(polled(first, *[b"1"] * CAUGHT_UP_RECORDS) for first in range(0, 5 * CAUGHT_UP_RECORDS, CAUGHT_UP_RECORDS)),
        EMPTY_BATCH,
    )
    _, worker, sink = carried(source, BatchAccumulator(AccumulatorSettings(max_bytes=2**30), CONTRACT.row_shapes()))
    worker.run(threading.Event())
    assert source.told == [("commit", {TOPIC_PARTITION: 5 * CAUGHT_UP_RECORDS})]
    assert sink.progress().next_offset(TOPIC_PARTITION) == 5 * CAUGHT_UP_RECORDS


def test_changes_before_a_record_that_stops_the_worker_are_written() -> None:
    source = ScriptedSource(polled(0, *[b"1"] * CAUGHT_UP_RECORDS), polled(CAUGHT_UP_RECORDS, b"bad"))
    _, worker, sink = carried(source, BatchAccumulator(AccumulatorSettings(max_bytes=2**30), CONTRACT.row_shapes()))
    with pytest.raises(RecordRejected):
        worker.run(threading.Event())
    assert sink.progress().next_offset(TOPIC_PARTITION) == CAUGHT_UP_RECORDS


def test_a_batch_is_written_before_its_offsets_are_mirrored() -> None:
    source = ScriptedSource(polled(0, b"1", b"2"), EMPTY_BATCH, polled(2, b"3"))
    store, worker, sink = carried(source)
    worker.run(threading.Event())
    assert source.told == [("commit", {TOPIC_PARTITION: 2}), ("commit", {TOPIC_PARTITION: 3})]
    assert {name[1] for name in store.held[1].registers} == {1, 2, 3}
    assert sink.progress().next_offset(TOPIC_PARTITION) == 3


def test_a_store_that_was_rolled_back_is_replayed_from_its_progress() -> None:
    source = ScriptedSource(polled(5, b"1"))
    store, worker, _ = carried(source)
    worker.run(threading.Event())
    assert source.told == [("rewind", {TOPIC_PARTITION: 0})]
    assert store.held[1].registers == {}


def test_a_store_that_was_rolled_back_is_detected_without_new_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.ingest.worker.PROGRESS_CHECK_INTERVAL_S", 0.0)
    source = ScriptedSource(EMPTY_BATCH)
    source.given = {TOPIC_PARTITION: 7}
    _, worker, sink = carried(source)
    sink.prepare()
    sink.write(Batch(span=OffsetRange({}, {TOPIC_PARTITION: 4})))
    worker.run(threading.Event())
    assert source.told == [("rewind", {TOPIC_PARTITION: 4})]


def test_nothing_of_a_batch_with_a_bad_record_is_written() -> None:
    source = ScriptedSource(polled(0, b"1"), polled(1, b"2", b"bad", b"bad"))
    store, worker, _ = carried(source)
    with pytest.raises(RecordRejected, match=r"cdc.public.orders/0 offset 2: cut short, and 1 more"):
        worker.run(threading.Event())
    assert source.told == [("commit", {TOPIC_PARTITION: 1})]
    assert {name[1] for name in store.held[1].registers} == {1}


class Refusing(MemorySink):
    """A sink that refuses to write, with a sink error or an unexpected one."""

    error: Exception

    def write(self, _batch: Batch) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MutationRejected("orders: 400"), "MutationRejected: orders: 400"),
        (GenerationBroken("the file is damaged"), "GenerationBroken: the file is damaged"),
        (KeyError("secret"), "unexpected KeyError"),
    ],
)
def test_a_worker_that_stops_at_a_batch_names_its_records(error: Exception, words: str) -> None:
    sink = Refusing(MemoryStore(CONTRACT.row_shapes()), 1)
    sink.error = error
    source = ScriptedSource(polled(7, b"1", b"2", b"3"))
    worker = Worker(
        cast("KafkaSource", source), cast("Decoder", ScriptedDecoder()), RowProjection(CONTRACT), sink, CONTRACT.topics
    )
    with pytest.raises(type(error)) as stopped:
        worker.run(threading.Event())
    assert describe_error(stopped.value).startswith(words)
    assert describe_error(stopped.value).endswith("while writing the records of cdc.public.orders/0 offsets 7 to 9")
    assert "secret" not in describe_error(stopped.value)


def test_the_worker_ends_once_it_is_done() -> None:
    source = ScriptedSource(polled(0, b"1"), polled(1, b"2"), polled(2, b"3"))
    _, worker, sink = carried(source)
    until = threading.Event()
    worker.run(until, is_done=lambda one: one.progress().next_offset(TOPIC_PARTITION) >= 2)
    assert until.is_set()
    assert sink.progress().next_offset(TOPIC_PARTITION) == 2

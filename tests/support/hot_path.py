"""Measuring tools for the hot path: records as a connector writes them, and a count of Python calls."""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, cast

from confluent_kafka import Message

from bench.envelopes import Envelopes, recorded
from bench.history import History, history
from connectors.decode.decoder import Decoder
from connectors.envelope import SourceTable
from pipeline.config import Settings, load
from pipeline.ingest.buffer import PolledBatch, RecordBuffer
from pipeline.ingest.projection import Projection
from pipeline.ingest.source import KafkaSource
from pipeline.ingest.worker import Worker
from sinks.batch import Progress, TopicPartition
from sinks.sink import Sink
from tests.support.checkout import CHECKOUT

PARTITIONS = 6
SCHEMA_IDS = {"orders": 1, "order_items": 2}
NOWHERE = "http://127.0.0.1:9"


@cache
def settings() -> Settings:
    """Return the shipped definitions of the read models, without a request to any server."""
    service = {"url": NOWHERE}
    source = {"url": "postgresql://", "admin_url": "postgresql://", "replication_password": ""}
    defaults: dict[str, Any] = {
        "source": source,
        "kafka": {"bootstrap_servers": "127.0.0.1:9"},
        **dict.fromkeys(("connect", "schema_registry", "elasticsearch"), service),
        "redis": {"url": "redis://127.0.0.1:9/0"},
    }
    return load(CHECKOUT / "readmodels.toml", defaults)


@cache
def envelopes() -> Mapping[str, Envelopes]:
    """Return the recorded envelopes of a connector."""
    return recorded()


@cache
def told(count: int) -> History:
    """Return a history of about `count` records."""
    return history(count, {table: one.rows for table, one in envelopes().items()})


@cache
def messages(count: int) -> list[Message]:
    """Return the records of that history, as a consumer polls them."""
    topics = {table: topic for topic, table in settings().definitions.topics.items()}
    next_offset: Counter[TopicPartition] = Counter()
    polled = []
    for change in told(count).changes:
        topic_partition = (topics[change.table], int(change.key[6:-1]) % PARTITIONS)
        value = envelopes()[change.table].value(change, SCHEMA_IDS[change.table])
        for one in (value, None) if change.after is None else (value,):
            polled.append(
                Message(
                    topic=topic_partition[0],
                    partition=topic_partition[1],
                    offset=next_offset[topic_partition],
                    key=change.key,
                    value=one,
                )
            )
            next_offset[topic_partition] += 1
    return polled


class KnownSchemas:
    """The recorded schemas by id, as a registry whose answers are cached."""

    def schema(self, schema_id: int) -> Any:
        (table,) = (name for name, known in SCHEMA_IDS.items() if known == schema_id)
        return envelopes()[table].schema


class PolledBefore:
    """A source whose records were polled already and pass through the real hand-over."""

    def __init__(self, polled: list[Message]) -> None:
        self._polled = polled

    def batches(self, _until: threading.Event, after: Callable[[], Progress]) -> Iterator[PolledBatch]:
        progress = after()
        buffer = RecordBuffer(max_records=len(self._polled))
        for topic in settings().definitions.topics:
            for partition in range(PARTITIONS):
                buffer.started((topic, partition), progress.next_offset((topic, partition)))
        buffer.add(self._polled, {})
        yield buffer.take(0, threading.Event())

    def commit(self, batch: PolledBatch) -> None:
        pass

    def lag(self) -> int:
        return 0

    def positions(self) -> dict[TopicPartition, int]:
        return {}


def carry(count: int, sink: Sink, projection: Projection) -> None:
    """Let a worker write `count` records into a sink, in one batch."""
    definitions = settings().definitions
    tables = {
        topic: SourceTable(definitions.tables[name].source, definitions.tables[name].columns)
        for topic, name in definitions.topics.items()
    }
    source = cast("KafkaSource", PolledBefore(messages(count)))
    Worker(source, Decoder(tables, KnownSchemas()), projection, sink, definitions.topics).run(threading.Event())


def calls(function: Callable[[], object]) -> Counter[str]:
    """Run `function` and count the calls of Python functions by name.

    A generator that resumes counts as a call, too.
    """
    counted: Counter[CodeType] = Counter()
    # Collect garbage first, so that finalizers of earlier tests are not counted here.
    gc.collect()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            counted[frame.f_code] += 1

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    names: Counter[str] = Counter()
    for code, number in counted.items():
        names[f"{Path(code.co_filename).stem}.{code.co_qualname}"] += number
    return names


def grown(few: Counter[str], many: Counter[str], by: int) -> dict[str, int]:
    """Return the functions whose call counts grew by at least `by`."""
    return {name: number - few[name] for name, number in many.items() if number - few[name] >= by}

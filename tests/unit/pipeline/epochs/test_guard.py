"""Tests of the epoch guard between brokers and a store."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from connectors.decode.decoder import DecodedBatch
from connectors.kafka import KafkaUnavailable
from connectors.records import RecordBatch
from connectors.topics import TopicIdentity
from pipeline.epochs.fingerprint import diff, of_source, of_topics
from pipeline.epochs.guard import EpochGuard, GuardedDecoder, GuardedSink, TopicNotFound
from pipeline.ingest.epoch_history import EpochHistory
from pipeline.ingest.log_mismatch import EpochMismatch, MismatchReason
from sinks.epoch import Epoch, EpochKind
from sinks.memory import MemoryStore

TOPIC = "cdc.public.orders"
FIRST = Epoch(
    number=0,
    kind=EpochKind.FIRST,
    fingerprint=of_topics([TopicIdentity(TOPIC, "first", 6)]),
    opened_at=datetime(2026, 1, 1, tzinfo=UTC),
)
RECORDS = RecordBatch(TOPIC, np.zeros(1, np.int32), np.zeros(1, np.int64), [b"{}"], [b""])
DECODED = DecodedBatch([], [], 0)


@dataclass
class Described:
    """A topic as the client describes it."""

    topic_id: str
    partitions: list[int]


@dataclass
class Brokers:
    """An admin client of brokers with one topic, or with an error."""

    topic_id: str = "first"
    partitions: int = 6
    fails_with: int | None = None
    asked: list[str] = field(default_factory=list)

    def describe_topics(self, names: Any, request_timeout: float) -> dict[str, Future[Described]]:
        assert request_timeout
        self.asked += names.topic_names
        answer: Future[Described] = Future()
        if self.fails_with is None:
            answer.set_result(Described(self.topic_id, list(range(self.partitions))))
        else:
            answer.set_exception(KafkaException(KafkaError(self.fails_with)))
        return {TOPIC: answer}


class Decoder:
    """A decoder that counts records, and requires that the brokers were asked before."""

    def __init__(self, brokers: Brokers) -> None:
        self.decoded = 0
        self._brokers = brokers

    def decode(self, records: RecordBatch) -> DecodedBatch:
        assert self._brokers.asked, "asked before it is decoded"
        self.decoded += len(records)
        return DECODED


@pytest.fixture
def brokers() -> Brokers:
    return Brokers()


@pytest.fixture
def gate(brokers: Brokers) -> EpochGuard:
    return EpochGuard(cast("AdminClient", brokers), [TOPIC], lambda: EpochHistory((FIRST,)))


def test_batches_of_the_same_topic_pass(brokers: Brokers, gate: EpochGuard) -> None:
    assert GuardedDecoder(Decoder(brokers), gate).decode(RECORDS) is DECODED


@pytest.mark.parametrize(
    ("brokers", "reason"),
    [
        (Brokers(topic_id="second"), MismatchReason.TOPIC_REMADE),
        (Brokers(partitions=8), MismatchReason.PARTITIONS_CHANGED),
    ],
)
def test_nothing_of_another_topic_passes(brokers: Brokers, gate: EpochGuard, reason: MismatchReason) -> None:
    store = MemoryStore([])
    store.sink(1).prepare()
    for ask in (
        lambda: GuardedDecoder(Decoder(brokers), gate).decode(RECORDS),
        GuardedSink(store.sink(1), gate).progress,
    ):
        with pytest.raises(EpochMismatch) as ended:
            ask()
        assert [seen.reason for seen in ended.value.seen] == [reason]


def test_a_topic_that_is_gone_or_brokers_that_are_silent_are_asked_again(brokers: Brokers, gate: EpochGuard) -> None:
    brokers.fails_with = KafkaError.UNKNOWN_TOPIC_OR_PART
    with pytest.raises(TopicNotFound):
        gate.check_topics()
    brokers.fails_with = KafkaError._TIMED_OUT
    with pytest.raises(KafkaUnavailable):
        gate.check_topics()


def test_identities_that_could_not_be_read_are_not_compared() -> None:
    known = {**FIRST.fingerprint, **of_source("7")}
    assert not list(diff(known, FIRST.fingerprint))
    assert not list(diff({}, known))
    [seen] = diff(known, of_source("8"))
    assert (seen.reason, seen.sentence) == (
        MismatchReason.OTHER_SOURCE,
        "the source's system identifier is 8, and was 7",
    )

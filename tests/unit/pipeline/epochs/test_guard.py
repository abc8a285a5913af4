"""A gate between brokers that say what is there and a store that must not be given it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from connectors.decode.decoder import Decoded
from connectors.kafka import KafkaUnavailable
from connectors.records import Records
from connectors.topics import Identity
from pipeline.epochs.fingerprint import changes, of_source, of_topics
from pipeline.epochs.guard import Gate, GatedDecoder, GatedSink, TopicsGone
from pipeline.ingest.epoch_history import Lives
from pipeline.ingest.log_mismatch import EpochEnded, Reason
from sinks.epoch import Epoch, EpochKind
from sinks.memory import MemoryStore

TOPIC = "cdc.public.orders"
FIRST = Epoch(
    number=0,
    kind=EpochKind.FIRST,
    fingerprint=of_topics([Identity(TOPIC, "first", 6)]),
    opened_at=datetime(2026, 1, 1, tzinfo=UTC),
)
RECORDS = Records(TOPIC, np.zeros(1, np.int32), np.zeros(1, np.int64), [b"{}"], [b""])
DECODED = Decoded([], [], 0)


@dataclass
class Described:
    """A topic as the client describes it."""

    topic_id: str
    partitions: list[int]


@dataclass
class Brokers:
    """An admin client of brokers that hold one topic, or say what is wrong."""

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
    """While it decodes, a topic may be made anew."""

    def __init__(self, brokers: Brokers) -> None:
        self.decoded = 0
        self._brokers = brokers

    def decode(self, records: Records) -> Decoded:
        assert self._brokers.asked, "asked before it is decoded"
        self.decoded += len(records)
        return DECODED


@pytest.fixture
def brokers() -> Brokers:
    return Brokers()


@pytest.fixture
def gate(brokers: Brokers) -> Gate:
    return Gate(cast("AdminClient", brokers), [TOPIC], lambda: Lives((FIRST,)))


def test_what_is_of_the_same_topic_passes(brokers: Brokers, gate: Gate) -> None:
    assert GatedDecoder(Decoder(brokers), gate).decode(RECORDS) is DECODED


@pytest.mark.parametrize(
    ("brokers", "reason"),
    [(Brokers(topic_id="second"), Reason.TOPIC_REMADE), (Brokers(partitions=8), Reason.PARTITIONS_CHANGED)],
)
def test_nothing_of_another_topic_passes(brokers: Brokers, gate: Gate, reason: Reason) -> None:
    store = MemoryStore([])
    store.sink(1).prepare()
    for ask in (lambda: GatedDecoder(Decoder(brokers), gate).decode(RECORDS), GatedSink(store.sink(1), gate).progress):
        with pytest.raises(EpochEnded) as ended:
            ask()
        assert [seen.reason for seen in ended.value.seen] == [reason]


def test_a_topic_that_is_gone_or_brokers_that_are_silent_are_asked_again(brokers: Brokers, gate: Gate) -> None:
    brokers.fails_with = KafkaError.UNKNOWN_TOPIC_OR_PART
    with pytest.raises(TopicsGone):
        gate.require_same()
    brokers.fails_with = KafkaError._TIMED_OUT
    with pytest.raises(KafkaUnavailable):
        gate.require_same()


def test_what_nobody_could_look_at_is_not_compared() -> None:
    known = {**FIRST.fingerprint, **of_source("7")}
    assert not list(changes(known, FIRST.fingerprint))
    assert not list(changes({}, known))
    [seen] = changes(known, of_source("8"))
    assert (seen.reason, seen.sentence) == (
        Reason.OTHER_SOURCE,
        "the source's system identifier is 8, and was 7",
    )

"""Control topic: a compacted topic of requests to workers, by model, and of the workers' heartbeats."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import orjson
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from connectors.errors import SourceContractViolation
from connectors.kafka import REQUEST_TIMEOUT_S, KafkaSettings, KafkaUnavailable, error_text, retry_while_electing
from connectors.topics import TopicSpec

log = structlog.get_logger()

TOPIC = "readmodels.control"
DELIVERY_TIMEOUT_S = 20.0
_NO_TOPIC = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)


class ControlTopicMissing(SourceContractViolation):
    """The control topic does not exist."""

    remedy = "Run `readmodels init`: it creates the topic."


SMALL_SEGMENTS: Mapping[str, str] = {
    "segment.bytes": "1048576",
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.1",
    "message.timestamp.type": "LogAppendTime",
}
"""Segment settings. Kafka compacts only closed segments: with its defaults the topic would keep a week of heartbeats,
which `status` and every starting worker would have to read. Timestamps are the brokers', because workers' clocks may
differ.
"""


def wanted_topic(replication_factor: int | None) -> TopicSpec:
    """Return the specification of the control topic."""
    config: Mapping[str, str] = {"cleanup.policy": "compact", "retention.ms": "-1"}
    return TopicSpec(TOPIC, 1, replication_factor, config, SMALL_SEGMENTS)


@dataclass(frozen=True)
class StoredControl:
    """Last record of a key, with the time at which it was stored."""

    value: bytes
    stored_at: datetime


def is_pause(value: bytes) -> bool:
    """Return whether a request is one to pause."""
    return bool(orjson.loads(value or b"{}").get("is_paused", False))


def read_control(kafka: KafkaSettings) -> dict[str, StoredControl]:
    """Read the last record of every key in the control topic.

    Raises:
        ControlTopicMissing: the topic does not exist.
        KafkaUnavailable: the brokers did not answer.
    """
    place, kept = TopicPartition(TOPIC, 0, 0), dict[str, StoredControl]()
    consumer = Consumer(kafka.with_client(group_id=TOPIC, enable_auto_commit=False, enable_partition_eof=True))
    try:
        _, end = retry_while_electing(lambda: consumer.get_watermark_offsets(place, REQUEST_TIMEOUT_S))
        consumer.assign([place])
        deadline, reached = time.monotonic() + REQUEST_TIMEOUT_S, 0
        while reached < end:
            if time.monotonic() > deadline:
                raise KafkaUnavailable(f"cannot read {TOPIC}: no answer")
            for message in consumer.consume(1000, 0.2):
                error = message.error()
                if error is None:
                    _keep(kept, message)
                if error is None or error.code() == KafkaError._PARTITION_EOF:
                    # The partition may end after the last record, because a record before the end was compacted away.
                    reached = (message.offset() or 0) + (error is None)
    except KafkaException as error:
        if error.args[0].code() in _NO_TOPIC:
            raise ControlTopicMissing(f"there is no topic {TOPIC}") from error
        raise KafkaUnavailable(f"cannot read {TOPIC}: {error_text(error)}") from error
    finally:
        consumer.close()
    return kept


def _keep(kept: dict[str, StoredControl], message: Message) -> None:
    key, value = (message.key() or b"").decode(errors="replace"), message.value()
    if value is None:
        kept.pop(key, None)
    else:
        kept[key] = StoredControl(value, datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC))


def store_control(kafka: KafkaSettings, records: Mapping[str, bytes | None]) -> None:
    """Store records in the control topic. The value None deletes the key.

    Raises:
        KafkaUnavailable: at least one record was not stored.
    """
    failures: list[str] = []
    producer = Producer(kafka.with_client(acks="all"))
    for key, value in records.items():
        producer.produce(
            TOPIC,
            key=key.encode(),
            value=value,
            on_delivery=lambda error, _: failures.append(error.name()) if error else None,
        )
    if producer.flush(DELIVERY_TIMEOUT_S) or failures:
        raise KafkaUnavailable(f"nothing was stored in {TOPIC}: {', '.join(failures) or 'no answer'}")


def request_pause(kafka: KafkaSettings, model: str, *, is_paused: bool) -> None:
    """Ask the workers of a model to pause or resume. The last request also applies to workers that start later.

    Raises:
        KafkaUnavailable: the request was not stored.
    """
    store_control(kafka, {model: orjson.dumps({"is_paused": is_paused})})


class PauseListener:
    """Listener on a thread of its own for the pause requests of one model.

    Args:
        paused: set while the model's workers are to pause.
    """

    def __init__(self, kafka: KafkaSettings, model: str, paused: threading.Event) -> None:
        self._model = model
        self._paused = paused
        self._consumer = Consumer(
            kafka.with_client(group_id=TOPIC, enable_auto_commit=False, auto_offset_reset="earliest")
        )

    def start(self, stop: threading.Event) -> None:
        """Start the thread. It ends when `stop` is set."""
        # The thread runs in a copy of this context, so that its log lines name the same model.
        following = partial(copy_context().run, self._follow, stop)
        threading.Thread(target=following, name="requests", daemon=True).start()

    def _follow(self, stop: threading.Event) -> None:
        try:
            self._consumer.assign([TopicPartition(TOPIC, 0, 0)])
            while not stop.is_set():
                message = self._consumer.poll(0.5)
                if message is None or message.error() or (message.key() or b"").decode() != self._model:
                    continue
                is_paused = is_pause(message.value() or b"")
                (self._paused.set if is_paused else self._paused.clear)()
                log.info("paused" if is_paused else "resumed", model=self._model)
        except KafkaException as error:
            log.warning("pause listener failed", model=self._model, reason=error.args[0].name())
        finally:
            self._consumer.close()

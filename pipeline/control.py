"""Requests to running workers, wherever they run: a compacted topic that holds the last request per model."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextvars import copy_context
from functools import partial

import orjson
import structlog
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from connectors.kafka import KafkaSettings, KafkaUnavailable
from connectors.topics import WantedTopic

log = structlog.get_logger()

TOPIC = "readmodels.control"
DELIVERY_TIMEOUT_S = 20.0


def wanted_topic(replication_factor: int | None) -> WantedTopic:
    """The topic of requests."""
    config: Mapping[str, str] = {"cleanup.policy": "compact", "retention.ms": "-1"}
    return WantedTopic(TOPIC, 1, replication_factor, config)


def request(kafka: KafkaSettings, model: str, *, is_paused: bool) -> None:
    """Ask the workers of a model to rest or to go on; the last request holds, also for workers that start later.

    Raises:
        KafkaUnavailable: the request was not stored.
    """
    failures: list[str] = []
    producer = Producer(kafka.with_client(acks="all"))
    producer.produce(
        TOPIC,
        key=model.encode(),
        value=orjson.dumps({"is_paused": is_paused}),
        on_delivery=lambda error, _: failures.append(error.name()) if error else None,
    )
    if producer.flush(DELIVERY_TIMEOUT_S) or failures:
        raise KafkaUnavailable(f"the request was not stored: {', '.join(failures) or 'no answer'}")


class Requests:
    """Follows the requests to one model on a thread of its own.

    Args:
        paused: is set while the model's workers are to rest.
    """

    def __init__(self, kafka: KafkaSettings, model: str, paused: threading.Event) -> None:
        self._model = model
        self._paused = paused
        self._consumer = Consumer(
            kafka.with_client(group_id=TOPIC, enable_auto_commit=False, auto_offset_reset="earliest")
        )

    def follow(self, until: threading.Event) -> None:
        """Start following; ends with `until`."""
        # In this context, so that the thread's log lines name the same model.
        following = partial(copy_context().run, self._follow, until)
        threading.Thread(target=following, name="requests", daemon=True).start()

    def _follow(self, until: threading.Event) -> None:
        try:
            self._consumer.assign([TopicPartition(TOPIC, 0, 0)])
            while not until.is_set():
                message = self._consumer.poll(0.5)
                if message is None or message.error() or (message.key() or b"").decode() != self._model:
                    continue
                is_paused = orjson.loads(message.value() or b"{}").get("is_paused", False)
                (self._paused.set if is_paused else self._paused.clear)()
                log.info("paused" if is_paused else "resumed", model=self._model)
        except KafkaException as error:
            log.warning("requests are not followed", model=self._model, reason=error.args[0].name())
        finally:
            self._consumer.close()

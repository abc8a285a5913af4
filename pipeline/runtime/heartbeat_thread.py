"""Thread of a worker process that writes its heartbeats, even while the other threads are busy."""

from __future__ import annotations

import threading
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from types import TracebackType

import structlog
from confluent_kafka import KafkaException, Producer

from connectors.kafka import KafkaSettings, KafkaUnavailable
from pipeline.ingest.control_topic import TOPIC, ControlTopicMissing, read_control
from pipeline.runtime.activity import ProcessActivity
from pipeline.runtime.heartbeat import HEARTBEAT_INTERVAL_S
from pipeline.runtime.workers import replaced_by, restarting_before

log = structlog.get_logger()

DELIVERY_TIMEOUT_S = 10.0


class HeartbeatThread:
    """Heartbeats of one process while a block runs.

    If the block ends without an error, its record and those of the workers that it replaced are deleted. If it ends
    with an error, a last heartbeat with the reason stays. The process started in its place deletes that record, and
    repeats the reason in its own heartbeats.

    While no broker answers, heartbeats are dropped, because they are worthless later.
    """

    def __init__(self, kafka: KafkaSettings, activity: ProcessActivity) -> None:
        self._kafka = kafka
        self._activity = activity
        self._key = activity.heartbeat().key
        self._producer = Producer(
            kafka.with_client(acks="all", linger_ms=0, message_timeout_ms=int(DELIVERY_TIMEOUT_S * 1000))
        )
        self._ended = threading.Event()
        # The thread runs in a copy of this context, so that its log lines name the same model.
        beating = partial(copy_context().run, self._beat_until_ended)
        self._thread = threading.Thread(target=beating, name="heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._activity.changed.set()
        self._thread.join()
        if error is None:
            for key in (*self._replaced(), self._key):
                self._send(None, key)
        else:
            self._activity.of_process.stop(error)
            self._send(self._activity.heartbeat().to_json(), self._key)
        self._producer.flush(DELIVERY_TIMEOUT_S)

    def _beat_until_ended(self) -> None:
        self._take_over()
        while not self._ended.is_set():
            self._activity.changed.clear()
            self._send(self._activity.heartbeat().to_json(), self._key)
            self._producer.poll(0)
            self._activity.changed.wait(HEARTBEAT_INTERVAL_S)

    def _take_over(self) -> None:
        """Record why the replaced process ended, if it ended with an error."""
        try:
            ended = restarting_before(self._activity.heartbeat(), read_control(self._kafka))
        except (ControlTopicMissing, KafkaUnavailable) as error:
            log.debug("reading earlier heartbeats failed", reason=str(error))
            return
        for last in ended:
            self._activity.restarted_after = last.reason
            self._send(None, last.key)

    def _replaced(self) -> list[str]:
        try:
            return replaced_by(self._key, read_control(self._kafka), datetime.now(UTC))
        except (ControlTopicMissing, KafkaUnavailable) as error:
            log.debug("deleting earlier heartbeats failed", reason=str(error))
            return []

    def _send(self, value: bytes | None, key: str) -> None:
        try:
            self._producer.produce(TOPIC, key=key.encode(), value=value)
        except (KafkaException, BufferError) as error:
            log.debug("sending heartbeat failed", reason=str(error))

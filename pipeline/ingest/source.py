"""Source of batches: a consumer on a thread of its own, which keeps polling while the stores are busy.

Polled records are buffered until the worker takes them. Batches are small while the worker is idle, so that a
change is visible quickly. They have tens of thousands of records while it lags, so that each record costs little. The
store's progress decides where reading starts; the group's committed offsets only mirror it, for the usual tools.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import copy_context
from functools import partial

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaTopicPartition

from connectors.kafka import KafkaSettings
from pipeline.ingest.buffer import PolledBatch, RecordBuffer
from pipeline.ingest.consumer import classify_error, consumer_settings
from pipeline.ingest.partition_buffer import offset_of, partition_of, topic_of
from pipeline.worker_settings import BatchSettings
from sinks.batch import OffsetRange, Progress, TopicPartition

log = structlog.get_logger()

POLL_S = 0.1
MAX_FULL_WAIT_S = 5.0
"""Maximum wait of the polling thread for room in the buffer. Polling is also what keeps the consumer in its group."""
LINGER_FACTOR = 3
"""Maximum linger before the next batch, as a multiple of the last batch's duration. A write of few records costs a
store about as much as one of some hundred, so a steady trickle would keep both busy with overhead.
"""
MAX_LINGER_S = 0.25
"""Upper limit of the linger. The first record after a pause is passed on at once."""
CONSUME_SIZE = 2_000
"""Records taken per call: a larger call waits for its full timeout if there are fewer."""


class KafkaSource:
    """Consumer of topics, as one member of a consumer group.

    Args:
        group: the group's name.
        topics: the topics to read.
        paused: no records are passed on while this event is set.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        group: str,
        topics: Sequence[str],
        settings: BatchSettings,
        paused: threading.Event | None = None,
    ) -> None:
        self._topics = list(topics)
        self._paused = paused or threading.Event()
        self._drain_timeout_s = settings.drain_timeout_s
        self._consumer = Consumer(
            consumer_settings(kafka, group, settings.session_timeout_s, settings.max_poll_interval_s)
        )
        self._buffer = RecordBuffer(settings.max_records)
        self._ended = threading.Event()
        # The thread runs in a copy of this context, so that its log lines name the same model.
        polling = partial(copy_context().run, self._poll_until_ended)
        self._thread = threading.Thread(target=polling, name="source", daemon=True)

    def batches(self, stop: threading.Event, after: Callable[[], Progress]) -> Iterator[PolledBatch]:
        """Yield batches until `stop` is set, then leave the group. A batch is empty if nothing arrived.

        Args:
            after: reads the store's progress; called whenever partitions are assigned or the store was rolled back.

        Raises:
            OffsetOutOfRange: the log does not contain the store's offset.
            ConsumerFailed: the consumer met an error that it cannot recover from.
        """
        self._consumer.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        self._thread.start()
        try:
            while not stop.is_set():
                self._place(after)
                batch = self._buffer.take(POLL_S, self._paused)
                taken_at = time.monotonic()
                yield batch
                self._buffer.batch_done()
                if batch.span.end:
                    self._buffer.linger(min((time.monotonic() - taken_at) * LINGER_FACTOR, MAX_LINGER_S))
        finally:
            self._ended.set()
            self._buffer.batch_done()
            self._thread.join()

    def commit(self, span: OffsetRange) -> None:
        """Mirror the store's progress in the group's committed offsets. Nothing depends on them."""
        self._buffer.queue_commit(span.end)

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset of every topic partition that was not passed on yet; between two batches, the store's
        progress.
        """
        return self._buffer.positions()

    def lag(self) -> int:
        """Return the number of offsets not passed on yet, up to the end of the log as reported by the broker."""
        return self._buffer.lag()

    def rewind(self, stored: Mapping[TopicPartition, int]) -> None:
        """Read these topic partitions again from the store's progress, because the store was rolled back."""
        self._buffer.reset(stored.keys())

    def _place(self, after: Callable[[], Progress]) -> None:
        unplaced = self._buffer.awaiting_offset()
        if unplaced:
            progress = after()
            self._buffer.assign_offsets(
                {topic_partition: progress.next_offset(topic_partition) for topic_partition in unplaced}
            )

    def _poll_until_ended(self) -> None:
        try:
            while not self._ended.is_set():
                self._seek()
                self._mirror()
                # Partitions are not paused instead: the client resumes a paused partition only a second later.
                has_room = self._buffer.wait_for_room(MAX_FULL_WAIT_S, self._ended)
                first = self._consumer.poll(POLL_S if has_room else 0)
                if first is not None:
                    self._receive([first, *self._consumer.consume(CONSUME_SIZE, 0)] if has_room else [first])
        except Exception as error:  # noqa: BLE001 - the worker's thread raises it
            self._buffer.fail(error)
        finally:
            self._mirror(is_last=True)
            self._consumer.close()

    def _seek(self) -> None:
        for topic_partition, offset in self._buffer.take_seeks().items():
            place = KafkaTopicPartition(*topic_partition, offset)
            try:
                self._consumer.seek(place)
                self._consumer.resume([place])
            except KafkaException as error:
                # A partition that was just assigned cannot be sought yet; one that was just revoked never can.
                if error.args[0].code() == KafkaError._STATE and topic_partition in self._assignment():
                    self._buffer.retry_seek(topic_partition, offset)
                continue
            self._buffer.started(topic_partition, offset)

    def _assignment(self) -> set[TopicPartition]:
        return set(_topic_partitions(self._consumer.assignment()))

    def _mirror(self, *, is_last: bool = False) -> None:
        # Commits run on this thread: a commit blocks for ever while another thread polls the same client.
        offsets = [
            KafkaTopicPartition(*topic_partition, offset)
            for topic_partition, offset in self._buffer.take_commits().items()
        ]
        try:
            if offsets and is_last:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            elif offsets:
                self._consumer.commit(offsets=offsets)
        except KafkaException as error:
            log.info("committing offsets failed", reason=error.args[0].name())

    def _receive(self, messages: list[Message]) -> None:
        errors = list(map(Message.error, messages))
        ends: dict[TopicPartition, int] = {}
        if any(errors):
            for message, error in zip(messages, errors, strict=True):
                if error is not None:
                    self._handle_error(message, error, ends)
            messages = [message for message, error in zip(messages, errors, strict=True) if error is None]
        self._buffer.add(messages, ends, self._log_ends())

    def _log_ends(self) -> dict[TopicPartition, int]:
        # Cached by the client from fetch responses, so no request is sent. A partition without any response yet has no
        # entry.
        places = self._consumer.assignment()
        told = [self._consumer.get_watermark_offsets(place, cached=True) for place in places]
        return {
            topic_partition: ends[1]
            for topic_partition, ends in zip(_topic_partitions(places), told, strict=True)
            if ends is not None
        }

    def _handle_error(self, message: Message, error: KafkaError, ends: dict[TopicPartition, int]) -> None:
        topic_partition = (topic_of(message), partition_of(message))
        if error.code() == KafkaError._PARTITION_EOF:
            ends[topic_partition] = offset_of(message)
        elif failure := classify_error(error, f"{topic_partition[0]}/{topic_partition[1]}"):
            self._buffer.fail(failure)

    def _assigned(self, consumer: Consumer, places: list[KafkaTopicPartition]) -> None:
        # Records may be fetched before the pause takes effect. Start at the earliest offset: offset 0 may have been
        # deleted.
        starts = [
            KafkaTopicPartition(*topic_partition, OFFSET_BEGINNING) for topic_partition in _topic_partitions(places)
        ]
        consumer.incremental_assign(starts)
        consumer.pause(starts)
        self._buffer.assigned(list(_topic_partitions(places)))
        log.info("partitions assigned", count=len(places))

    def _revoked(self, consumer: Consumer, places: list[KafkaTopicPartition]) -> None:
        """Give partitions back after the current batch is done, so that the next owner need not repeat it."""
        self._buffer.revoke(list(_topic_partitions(places)))
        if not self._buffer.wait_batch_done(self._drain_timeout_s):
            log.warning("partitions revoked during a batch", drain_timeout_s=self._drain_timeout_s)
        self._mirror(is_last=True)
        consumer.incremental_unassign(places)
        log.info("partitions revoked", count=len(places))

    def _lost(self, consumer: Consumer, places: list[KafkaTopicPartition]) -> None:
        """Drop polled records and commit nothing, because other members already own these partitions."""
        self._buffer.revoke(list(_topic_partitions(places)))
        consumer.incremental_unassign(places)
        log.warning("partitions lost", count=len(places))


def _topic_partitions(places: Iterable[KafkaTopicPartition]) -> Iterator[TopicPartition]:
    return ((place.topic, place.partition) for place in places)

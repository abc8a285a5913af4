"""The log as batches: a consumer on a thread of its own, which keeps polling whatever the stores do.

The polled records wait in one place until the worker asks: few where it is idle, so that a change is quickly visible,
and tens of thousands where it is behind, so that each costs little. Where a generation stands is the store's word;
the group's committed offsets only mirror it, for the usual tools.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.errors import ContractBroken, SystemicError
from connectors.kafka import KafkaSettings
from connectors.records import Records
from pipeline.polled import Polled, offset_of, partition_of, topic_of
from sinks.batch import Progress, Shard, Span

log = structlog.get_logger()

POLL_S = 0.1
DRAIN = 2_000
"""Records taken per call: a call for more waits until its time is over where there are fewer."""
IDLE_S = 0.25
"""How long a move past control records waits for a record to travel with."""


class LogTruncated(ContractBroken):
    """The log no longer holds the offset at which a read model stopped."""

    remedy = (
        "Records were removed before they were read, or a topic was made anew. Rebuild the model from what is left: "
        "`readmodels replay MODEL`; then give the topics a longer retention."
    )


class KafkaFailed(SystemicError):
    """The consumer cannot go on by itself."""

    remedy = "Read the brokers' state and the credentials; the worker is started again by itself."


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How much is handed over at once, and how long the source waits for others.

    Args:
        max_records: the most records of a batch.
        session_timeout_s: after which silence a group gives a worker's partitions to others.
        drain_timeout_s: how long a revoked partition waits for the batch in hand.
    """

    max_records: int = 50_000
    session_timeout_s: float = 10.0
    max_poll_interval_s: float = 300.0
    drain_timeout_s: float = 20.0

    def __post_init__(self) -> None:
        if min(self.max_records, self.session_timeout_s, self.max_poll_interval_s, self.drain_timeout_s) <= 0:
            raise ValueError(f"every limit of a batch must be above zero: {self}")


@dataclass(frozen=True)
class RawBatch:
    """Records as they were polled, by topic, and the span of the log that they are the whole content of."""

    records: tuple[Records, ...]
    span: Span

    def __len__(self) -> int:
        return sum(len(records) for records in self.records)


@dataclass
class _Shared:
    """What the polling thread and the worker both touch, under one lock."""

    polled: Polled = field(default_factory=Polled)
    unplaced: set[Shard] = field(default_factory=set)
    placements: dict[Shard, int] = field(default_factory=dict)
    mirrored: dict[Shard, int] = field(default_factory=dict)
    is_batch_in_hand: bool = False
    failure: Exception | None = None


class Source:
    """Topics, read as one member of a consumer group.

    Args:
        group: the group's name.
        topics: what to read.
        paused: while it is set, nothing is handed over.
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
        self._settings = settings
        self._consumer = Consumer(_consumer_settings(kafka, group, settings))
        self._shared = _Shared()
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll_until_ended, name="source", daemon=True)

    def batches(self, until: threading.Event, after: Callable[[], Progress]) -> Iterator[RawBatch]:
        """Yield what comes, until `until` is set; then leave the group. Where nothing came, a batch is empty.

        Args:
            after: asks the store how far it is; called whenever partitions are assigned or the store went back.

        Raises:
            LogTruncated: the log does not hold the store's offset.
            KafkaFailed: the consumer met an error that it cannot mend.
        """
        self._consumer.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        self._thread.start()
        try:
            while not until.is_set():
                self._place(after)
                yield self._take()
                self._put_down()
        finally:
            self._put_down()
            self._ended.set()
            self._thread.join()

    def commit(self, batch: RawBatch) -> None:
        """Mirror what the store holds in the group's offsets; nothing depends on it."""
        with self._changed:
            self._shared.mirrored.update(batch.span.end)

    def rewind(self, stored: Mapping[Shard, int]) -> None:
        """Read these shards again from where the store stands: it has gone back."""
        with self._changed:
            self._shared.polled.drop(stored)
            self._shared.unplaced |= stored.keys()

    def _place(self, after: Callable[[], Progress]) -> None:
        with self._changed:
            unplaced = set(self._shared.unplaced)
        if not unplaced:
            return
        progress = after()
        with self._changed:
            for shard in unplaced & self._shared.unplaced:
                self._shared.placements[shard] = progress.of(shard)
            self._shared.unplaced -= unplaced

    def _take(self) -> RawBatch:
        with self._changed:
            if self._paused.is_set() or not self._shared.polled.is_worth_taking(IDLE_S):
                self._changed.wait(POLL_S)
            if self._shared.failure is not None:
                raise self._shared.failure
            if self._paused.is_set() or not self._shared.polled.is_worth_taking(IDLE_S):
                return RawBatch((), Span({}, {}))
            self._shared.is_batch_in_hand = True
            records, span = self._shared.polled.take(self._settings.max_records)
        return RawBatch(records, span)

    def _put_down(self) -> None:
        with self._changed:
            self._shared.is_batch_in_hand = False
            self._changed.notify_all()

    def _poll_until_ended(self) -> None:
        try:
            while not self._ended.is_set():
                self._apply_placements()
                self._mirror()
                self._keep_within_bounds()
                first = self._consumer.poll(POLL_S)
                if first is not None:
                    self._receive([first, *self._consumer.consume(DRAIN, 0)])
        except Exception as error:  # noqa: BLE001 - the worker's thread raises it
            self._fail(error)
        finally:
            self._mirror(is_last=True)
            self._consumer.close()

    def _apply_placements(self) -> None:
        with self._changed:
            placements, self._shared.placements = self._shared.placements, {}
        for shard, offset in placements.items():
            place = TopicPartition(*shard, offset)
            try:
                self._consumer.seek(place)
                self._consumer.resume([place])
            except KafkaException as error:
                # A partition that was just assigned cannot be sought at once; one that was just revoked never.
                with self._changed:
                    if error.args[0].code() == KafkaError._STATE and shard in self._assignment():
                        self._shared.placements.setdefault(shard, offset)
                continue
            with self._changed:
                self._shared.polled.begin(shard, offset)

    def _mirror(self, *, is_last: bool = False) -> None:
        # On this thread: the client blocks for ever in a commit while another thread of ours polls.
        with self._changed:
            mirrored, self._shared.mirrored = self._shared.mirrored, {}
        offsets = [TopicPartition(*shard, offset) for shard, offset in mirrored.items()]
        try:
            if offsets and is_last:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            elif offsets:
                self._consumer.commit(offsets=offsets)
        except KafkaException as error:
            log.info("offsets not mirrored", reason=error.args[0].name())

    def _assignment(self) -> set[Shard]:
        return {(place.topic, place.partition) for place in self._consumer.assignment()}

    def _keep_within_bounds(self) -> None:
        with self._changed:
            begun = self._shared.polled.shards()
            is_full = self._shared.polled.record_count >= self._settings.max_records
            has_changed = is_full != self._shared.polled.is_held
            self._shared.polled.is_held = is_full
        if has_changed and begun:
            places = [TopicPartition(*shard) for shard in begun & self._assignment()]
            (self._consumer.pause if is_full else self._consumer.resume)(places)

    def _receive(self, messages: list[Message]) -> None:
        errors = list(map(Message.error, messages))
        ends: dict[Shard, int] = {}
        if any(errors):
            for message, error in zip(messages, errors, strict=True):
                if error is not None:
                    self._judge(message, error, ends)
            messages = [message for message, error in zip(messages, errors, strict=True) if error is None]
        with self._changed:
            self._shared.polled.add(messages, ends)
            self._changed.notify_all()

    def _judge(self, message: Message, error: KafkaError, ends: dict[Shard, int]) -> None:
        shard = (topic_of(message), partition_of(message))
        if error.code() == KafkaError._PARTITION_EOF:
            ends[shard] = offset_of(message)
        elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            self._fail(LogTruncated(f"{shard[0]}/{shard[1]} has no longer the offset that the store asks for"))
        elif error.fatal() or not error.retriable():
            if error.code() not in _PASSING:
                self._fail(KafkaFailed(f"Kafka answered {error.name()}"))
        else:
            log.info("kafka hesitates", reason=error.name())

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._shared.failure = self._shared.failure or error
            self._changed.notify_all()

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        starts = [TopicPartition(place.topic, place.partition, 0) for place in places]
        consumer.incremental_assign(starts)
        consumer.pause(starts)
        with self._changed:
            self._shared.unplaced |= {(place.topic, place.partition) for place in places}
            self._changed.notify_all()
        log.info("partitions assigned", count=len(places))

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Wait for the batch in hand, so that the next owner need not repeat it; then give the partitions back."""
        self._forget(places)
        deadline = time.monotonic() + self._settings.drain_timeout_s
        with self._changed:
            self._changed.wait_for(
                lambda: not self._shared.is_batch_in_hand, timeout=max(0.0, deadline - time.monotonic())
            )
        self._mirror(is_last=True)
        consumer.incremental_unassign(places)
        log.info("partitions revoked", count=len(places))

    def _lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Others have these partitions already: drop what is polled, commit nothing."""
        self._forget(places)
        consumer.incremental_unassign(places)
        log.warning("partitions lost", count=len(places))

    def _forget(self, places: list[TopicPartition]) -> None:
        shards = {(place.topic, place.partition) for place in places}
        with self._changed:
            self._shared.polled.drop(shards)
            self._shared.unplaced -= shards
            for shard in shards:
                self._shared.placements.pop(shard, None)


_PASSING = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError._MAX_POLL_EXCEEDED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
"""What librdkafka mends by itself, though it does not call it retriable."""


def _consumer_settings(kafka: KafkaSettings, group: str, settings: BatchSettings) -> dict[str, object]:
    return {
        **kafka.with_client(
            group_id=group,
            partition_assignment_strategy="cooperative-sticky",
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            auto_offset_reset="error",
            isolation_level="read_committed",
            enable_partition_eof=True,
            session_timeout_ms=int(settings.session_timeout_s * 1000),
            heartbeat_interval_ms=int(settings.session_timeout_s * 1000 / 4),
            max_poll_interval_ms=int(settings.max_poll_interval_s * 1000),
            allow_auto_create_topics=False,
        ),
        "logger": _librdkafka,
    }


class _Librdkafka:
    """The client library's own log lines, in ours."""

    def log(self, _level: int, message: str, *arguments: object) -> None:
        log.debug("librdkafka", words=message % arguments if arguments else message)

    def handle(self, record: object) -> None:
        log.debug("librdkafka", words=str(record))


_librdkafka = _Librdkafka()

"""Simulated consumer with the client library's interface, on the simulated Kafka."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaTopicPartition

from sinks.batch import TopicPartition
from tests.simulation.kafka import Group, Member, What
from tests.simulation.scheduler import Scheduler

Callback = Callable[["Consumer", list[KafkaTopicPartition]], None]

_HICCUPS = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT)


class Consumer:
    """One member of the group.

    Args:
        is_calm: whether Kafka currently causes no faults.
    """

    def __init__(
        self, group: Group, scheduler: Scheduler, lots: Random, is_calm: Callable[[], bool], _: Mapping[str, Any]
    ) -> None:
        self._group = group
        self._scheduler = scheduler
        self._lots = lots
        self._is_calm = is_calm
        self._member: Member | None = None
        self._callbacks: dict[What, Callback] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._fresh: set[TopicPartition] = set()
        self._ends_told: dict[TopicPartition, int] = {}

    def subscribe(self, _: list[str], on_assign: Callback, on_revoke: Callback, on_lost: Callback) -> None:
        self._callbacks = {What.ASSIGNED: on_assign, What.REVOKED: on_revoke, What.LOST: on_lost}
        self._member = self._group.join(self._scheduler.process())

    def poll(self, timeout: float) -> Message | None:
        self._be_told()
        message = self._next()
        if message is None and timeout:
            self._scheduler.wait(timeout)
            message = self._next()
        elif timeout:
            self._scheduler.pause(0.01)
        return message

    def consume(self, count: int, _: float) -> list[Message]:
        few = self._lots.choice((0, 1, 3, 10, count))
        messages: list[Message] = []
        while len(messages) < few and (message := self._next()) is not None:
            messages.append(message)
        return messages

    def seek(self, place: KafkaTopicPartition) -> None:
        topic_partition = (place.topic, place.partition)
        if topic_partition in self._fresh or topic_partition not in self._positions:
            self._fresh.discard(topic_partition)
            raise KafkaException(KafkaError(KafkaError._STATE))
        self._positions[topic_partition] = place.offset
        self._ends_told.pop(topic_partition, None)

    def pause(self, places: Sequence[KafkaTopicPartition]) -> None:
        self._paused.update(_shards(places))

    def resume(self, places: Sequence[KafkaTopicPartition]) -> None:
        self._paused.difference_update(_shards(places))

    def assignment(self) -> list[KafkaTopicPartition]:
        return [KafkaTopicPartition(*topic_partition) for topic_partition in self._positions]

    def incremental_assign(self, places: Sequence[KafkaTopicPartition]) -> None:
        for place in places:
            topic_partition = (place.topic, place.partition)
            self._positions[topic_partition] = place.offset
            if self._lots.random() < 0.3:
                self._fresh.add(topic_partition)

    def incremental_unassign(self, places: Sequence[KafkaTopicPartition]) -> None:
        for topic_partition in _shards(places):
            del self._positions[topic_partition]
            self._paused.discard(topic_partition)
            self._ends_told.pop(topic_partition, None)

    def get_watermark_offsets(self, place: KafkaTopicPartition, *, cached: bool) -> tuple[int, int] | None:
        """Return the broker's low and high watermark, which the client learns with the records."""
        assert cached
        return 0, self._group.broker.ends[(place.topic, place.partition)]

    def commit(self, *, asynchronous: bool = True, **_: object) -> None:
        """Do nothing: progress does not depend on the group's offsets."""
        if not asynchronous and self._member is not None and self._member.is_expelled:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_MEMBER_ID))

    def close(self) -> None:
        if self._member is None:
            return
        if self._positions and not self._member.is_expelled:
            self._callbacks[What.REVOKED](self, self.assignment())
        self._group.leave(self._member)

    def _be_told(self) -> None:
        assert self._member is not None
        while self._member.told:
            what, topic_partitions = self._member.told.pop(0)
            mine = [
                KafkaTopicPartition(*topic_partition)
                for topic_partition in topic_partitions
                if (topic_partition in self._positions) != (what is What.ASSIGNED)
            ]
            if mine:
                self._callbacks[what](self, mine)
            if what is What.REVOKED:
                self._group.released(self._member, topic_partitions)
        if self._member.is_expelled:
            self._member = self._group.join(self._scheduler.process())

    def _next(self) -> Message | None:
        if not self._is_calm() and self._lots.random() < 0.05:
            return Message(error=KafkaError(self._lots.choice(_HICCUPS)))
        ready = [
            topic_partition
            for topic_partition in self._positions
            if topic_partition not in self._paused and self._has_more(topic_partition)
        ]
        return self._of(self._lots.choice(ready)) if ready else None

    def _has_more(self, topic_partition: TopicPartition) -> bool:
        end = self._group.broker.ends[topic_partition]
        return self._positions[topic_partition] < end or self._ends_told.get(topic_partition) != end

    def _of(self, topic_partition: TopicPartition) -> Message:
        topic, partition = topic_partition
        entry = self._group.broker.next(topic_partition, self._positions[topic_partition])
        if entry is None:
            end = self._group.broker.ends[topic_partition]
            self._positions[topic_partition] = self._ends_told[topic_partition] = end
            error = KafkaError(KafkaError._PARTITION_EOF)
            return Message(topic=topic, partition=partition, offset=end, error=error)
        self._positions[topic_partition] = entry.offset + 1
        return Message(topic=topic, partition=partition, offset=entry.offset, key=entry.key, value=entry.value)


def _shards(places: Sequence[KafkaTopicPartition]) -> list[TopicPartition]:
    return [(place.topic, place.partition) for place in places]

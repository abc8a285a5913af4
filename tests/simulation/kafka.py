"""Simulated Kafka as its consumers see it: partitions that grow by transactions, and the members of one group.

Partitions move as in the cooperative protocol: a member first revokes a partition, and only then is it assigned to
another member. A member that is silent for a session timeout loses all partitions, and learns of it when it polls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from sinks.batch import TopicPartition
from tests.simulation.log import Entry
from tests.simulation.scheduler import Process, Scheduler

SESSION_S = 10.0


@dataclass
class Broker:
    """The topics.

    Args:
        topic_partitions: every existing partition.
    """

    topic_partitions: Sequence[TopicPartition]
    logs: dict[TopicPartition, dict[int, Entry]] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.logs = {topic_partition: {} for topic_partition in self.topic_partitions}
        self.ends = dict.fromkeys(self.topic_partitions, 0)

    def commit(self, transaction: Iterable[Entry], ends: Iterable[tuple[TopicPartition, int]]) -> None:
        """Make a transaction and its control records visible to consumers."""
        for entry in transaction:
            self.logs[entry.topic_partition][entry.offset] = entry
        self.ends.update(ends)

    def next(self, topic_partition: TopicPartition, offset: int) -> Entry | None:
        """Return the first record at or after an offset, or None if only control records are left."""
        log = self.logs[topic_partition]
        return next((log[place] for place in range(offset, self.ends[topic_partition]) if place in log), None)


class What(Enum):
    """The kind of a group event that a member receives when it polls."""

    ASSIGNED = "assigned"
    REVOKED = "revoked"
    LOST = "lost"


@dataclass(eq=False)
class Member:
    """One consumer of the group, with its pending group events."""

    process: Process
    owned: list[TopicPartition] = field(default_factory=list)
    told: list[tuple[What, list[TopicPartition]]] = field(default_factory=list)
    silent_since_s: float | None = None
    is_expelled: bool = False


class Group:
    """The coordinator of one consumer group."""

    def __init__(self, broker: Broker, scheduler: Scheduler) -> None:
        self.broker = broker
        self._scheduler = scheduler
        self._members: list[Member] = []
        self._owners: dict[TopicPartition, Member | None] = dict.fromkeys(broker.topic_partitions)
        self._leaving: set[TopicPartition] = set()
        self.rebalances = 0

    def join(self, process: Process) -> Member:
        """Add a new member, which receives its assignment later."""
        member = Member(process)
        self._members.append(member)
        self._rebalance()
        return member

    def leave(self, member: Member) -> None:
        """Remove a member; other members get its partitions."""
        if member in self._members:
            self._members.remove(member)
            self.released(member, list(member.owned))

    def released(self, member: Member, topic_partitions: Iterable[TopicPartition]) -> None:
        """Record that a member has released topic partitions."""
        for topic_partition in topic_partitions:
            if topic_partition in member.owned:
                member.owned.remove(topic_partition)
            if self._owners[topic_partition] is member:
                self._owners[topic_partition] = None
                self._leaving.discard(topic_partition)
        self._rebalance()

    def look(self) -> None:
        """Expel the members that were silent for a session timeout: their processes are dead or stalled."""
        for member in list(self._members):
            is_silent = not member.process.is_alive or member.process.stalled_until_s > self._scheduler.now_s
            if not is_silent:
                member.silent_since_s = None
            elif member.silent_since_s is None:
                member.silent_since_s = self._scheduler.now_s
            elif self._scheduler.now_s - member.silent_since_s >= SESSION_S:
                self._expel(member)

    def _expel(self, member: Member) -> None:
        lost = list(member.owned)
        member.is_expelled = True
        member.told[:] = [(What.LOST, lost)]
        self.leave(member)

    def _rebalance(self) -> None:
        """Assign the partitions evenly, and move as few as possible."""
        if not self._members:
            return
        self.rebalances += 1
        wanted = self._wanted()
        for topic_partition, member in wanted.items():
            owner = self._owners[topic_partition]
            if owner is None:
                self._owners[topic_partition] = member
                member.owned.append(topic_partition)
                member.told.append((What.ASSIGNED, [topic_partition]))
            elif owner is not member and topic_partition not in self._leaving:
                self._leaving.add(topic_partition)
                owner.told.append((What.REVOKED, [topic_partition]))

    def _wanted(self) -> dict[TopicPartition, Member]:
        most = -(-len(self._owners) // len(self._members))
        shares: dict[Member, list[TopicPartition]] = {member: [] for member in self._members}
        for topic_partition, owner in self._owners.items():
            if owner is not None and len(shares[owner]) < most and topic_partition not in self._leaving:
                shares[owner].append(topic_partition)
        kept = {topic_partition for share in shares.values() for topic_partition in share}
        for topic_partition in self._owners:
            if topic_partition not in kept:
                min(shares.values(), key=len).append(topic_partition)
        return {topic_partition: member for member, share in shares.items() for topic_partition in share}

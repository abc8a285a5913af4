"""Kafka as its consumers see it: partitions that grow by transactions, and the members of one group.

Partitions are handed over as the cooperative protocol does it: whoever has to give one up is told first, and only once
it has let go is the next one told. A member that is silent for a session loses all, and learns of it when it polls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from sinks.batch import Shard
from tests.simulation.log import Entry
from tests.simulation.scheduler import Process, Scheduler

SESSION_S = 10.0


@dataclass
class Broker:
    """The topics.

    Args:
        shards: every partition that there is.
    """

    shards: Sequence[Shard]
    logs: dict[Shard, dict[int, Entry]] = field(default_factory=dict)
    ends: dict[Shard, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.logs = {shard: {} for shard in self.shards}
        self.ends = dict.fromkeys(self.shards, 0)

    def commit(self, transaction: Iterable[Entry], ends: Iterable[tuple[Shard, int]]) -> None:
        """Let consumers see a transaction, and the control records that end it."""
        for entry in transaction:
            self.logs[entry.shard][entry.offset] = entry
        self.ends.update(ends)

    def next(self, shard: Shard, offset: int) -> Entry | None:
        """The first record at or after an offset; None where only control records are left."""
        log = self.logs[shard]
        return next((log[place] for place in range(offset, self.ends[shard]) if place in log), None)


class What(Enum):
    """What a member is told when it polls."""

    ASSIGNED = "assigned"
    REVOKED = "revoked"
    LOST = "lost"


@dataclass(eq=False)
class Member:
    """One consumer of the group, and what it has still to be told."""

    process: Process
    owned: list[Shard] = field(default_factory=list)
    told: list[tuple[What, list[Shard]]] = field(default_factory=list)
    silent_since_s: float | None = None
    is_expelled: bool = False


class Group:
    """The coordinator of one consumer group."""

    def __init__(self, broker: Broker, scheduler: Scheduler) -> None:
        self.broker = broker
        self._scheduler = scheduler
        self._members: list[Member] = []
        self._owners: dict[Shard, Member | None] = dict.fromkeys(broker.shards)
        self._leaving: set[Shard] = set()
        self.rebalances = 0

    def join(self, process: Process) -> Member:
        """A new member; what it owns it is told later."""
        member = Member(process)
        self._members.append(member)
        self._rebalance()
        return member

    def leave(self, member: Member) -> None:
        """A member goes, and others take what it owned."""
        if member in self._members:
            self._members.remove(member)
            self.released(member, list(member.owned))

    def released(self, member: Member, shards: Iterable[Shard]) -> None:
        """A member has let go of shards."""
        for shard in shards:
            if shard in member.owned:
                member.owned.remove(shard)
            if self._owners[shard] is member:
                self._owners[shard] = None
                self._leaving.discard(shard)
        self._rebalance()

    def look(self) -> None:
        """Expel the members that were silent for a session: those of processes that are dead or stalled."""
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
        """Share evenly, and let everybody keep as much as possible."""
        if not self._members:
            return
        self.rebalances += 1
        wanted = self._wanted()
        for shard, member in wanted.items():
            owner = self._owners[shard]
            if owner is None:
                self._owners[shard] = member
                member.owned.append(shard)
                member.told.append((What.ASSIGNED, [shard]))
            elif owner is not member and shard not in self._leaving:
                self._leaving.add(shard)
                owner.told.append((What.REVOKED, [shard]))

    def _wanted(self) -> dict[Shard, Member]:
        most = -(-len(self._owners) // len(self._members))
        shares: dict[Member, list[Shard]] = {member: [] for member in self._members}
        for shard, owner in self._owners.items():
            if owner is not None and len(shares[owner]) < most and shard not in self._leaving:
                shares[owner].append(shard)
        kept = {shard for share in shares.values() for shard in share}
        for shard in self._owners:
            if shard not in kept:
                min(shares.values(), key=len).append(shard)
        return {shard: member for member, share in shares.items() for shard in share}

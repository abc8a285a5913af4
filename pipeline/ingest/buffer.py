"""What the polling thread and the worker both touch, under one lock: records, placements, offsets to mirror, errors."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from confluent_kafka import Message

from connectors.records import Records
from pipeline.ingest.partition_buffer import Polled
from sinks.batch import Shard, Span

ENOUGH = 1_000
"""Records that are worth a write where no more are known of: a store's costs for one write are small beside theirs."""

IDLE_S = 0.25
"""How long a move past control records waits for a record to travel with."""


@dataclass(frozen=True)
class RawBatch:
    """Records as they were polled, by topic, and the span of the log that they are the whole content of."""

    records: tuple[Records, ...]
    span: Span

    def __len__(self) -> int:
        return sum(len(records) for records in self.records)


NOTHING_CAME = RawBatch((), Span({}, {}))


class Handover:
    """One side fills it, the other empties it.

    A shard that was assigned is *unplaced* until the worker has asked the store where to begin; then it is *placed*,
    and once the polling thread has sought there, it has *begun*. Only records of shards that have begun are kept.
    """

    def __init__(self, max_records: int) -> None:
        self._max_records = max_records
        self._changed = threading.Condition()
        self._polled = Polled()
        self._unplaced: set[Shard] = set()
        self._placed: dict[Shard, int] = {}
        self._mirrored: dict[Shard, int] = {}
        self._is_batch_in_hand = False
        self._failure: Exception | None = None

    def take(self, wait_s: float, paused: threading.Event) -> RawBatch:
        """Take what has come, waiting at most `wait_s` for it; nothing comes while `paused` is set.

        Raises:
            Exception: what `fail` was told.
        """
        with self._changed:
            if paused.is_set() or not self._polled.is_worth_taking(IDLE_S):
                self._changed.wait(wait_s)
            if self._failure is not None:
                raise self._failure
            if paused.is_set() or not self._polled.is_worth_taking(IDLE_S):
                return NOTHING_CAME
            self._is_batch_in_hand = True
            batch = RawBatch(*self._polled.take(self._max_records))
            self._changed.notify_all()
            return batch

    def lag(self) -> int:
        """Offsets between what was taken and the end of the log, as far as it is known."""
        with self._changed:
            return self._polled.lag

    def put_down(self) -> None:
        """The batch in hand is done with."""
        with self._changed:
            self._is_batch_in_hand = False
            self._changed.notify_all()

    def rest(self, wait_s: float) -> None:
        """Let records come together for `wait_s`, until there are enough of them, or something else is to be done."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._has_enough() or bool(self._unplaced) or self._failure is not None, wait_s
            )

    def await_put_down(self, timeout_s: float) -> bool:
        """Wait until no batch is in hand, and say whether it came to that."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._is_batch_in_hand, timeout_s)

    def positions(self) -> dict[Shard, int]:
        """The next offset of every shard that has begun and was not taken yet."""
        with self._changed:
            return self._polled.taken()

    def unplaced(self) -> set[Shard]:
        """The shards that wait to be told where to begin."""
        with self._changed:
            return set(self._unplaced)

    def place(self, offsets: Mapping[Shard, int]) -> None:
        """Say where unplaced shards begin; one that was revoked meanwhile is left alone."""
        with self._changed:
            for shard in offsets.keys() & self._unplaced:
                self._placed[shard] = offsets[shard]
            self._unplaced -= offsets.keys()

    def placed(self) -> dict[Shard, int]:
        """Take the shards that are to be sought, and where."""
        with self._changed:
            placed, self._placed = self._placed, {}
            return placed

    def place_again(self, shard: Shard, offset: int) -> None:
        """A seek came too early; a newer placement of the shard stands."""
        with self._changed:
            self._placed.setdefault(shard, offset)

    def begin(self, shard: Shard, offset: int) -> None:
        """The shard was sought and resumed, and is read from this offset; the group shows it before a record comes."""
        with self._changed:
            self._polled.begin(shard, offset)
            self._mirrored[shard] = offset

    def assigned(self, shards: Collection[Shard]) -> None:
        """These shards are ours now."""
        with self._changed:
            self._unplaced.update(shards)
            self._changed.notify_all()

    def rewound(self, shards: Collection[Shard]) -> None:
        """The store has gone back in these shards: they are placed anew."""
        with self._changed:
            self._polled.drop(shards)
            self._unplaced.update(shards)
            self._changed.notify_all()

    def forget(self, shards: Collection[Shard]) -> None:
        """These shards are no longer ours; what was polled of them is for others."""
        with self._changed:
            self._polled.drop(shards)
            self._unplaced.difference_update(shards)
            for shard in shards:
                self._placed.pop(shard, None)

    def add(
        self, messages: list[Message], ends: Mapping[Shard, int], log_ends: Mapping[Shard, int] = MappingProxyType({})
    ) -> None:
        """Records that were polled, ends of partitions that were met, and ends that came with the records."""
        with self._changed:
            self._polled.tell_ends(log_ends)
            self._polled.add(messages, ends)
            self._changed.notify_all()

    def await_room(self, wait_s: float, ended: threading.Event) -> bool:
        """Wait at most `wait_s`, and not once `ended` is set, for room for more records; say whether there is."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or ended.is_set(), wait_s)
            return self._has_room()

    def _has_room(self) -> bool:
        return self._polled.record_count < self._max_records

    def _has_enough(self) -> bool:
        return not self._has_room() or (self._polled.record_count >= ENOUGH and self._polled.is_at_end)

    def mirror(self, ends: Mapping[Shard, int]) -> None:
        """Offsets for the group to show."""
        with self._changed:
            self._mirrored.update(ends)

    def mirrored(self) -> dict[Shard, int]:
        """Take the offsets that the group is to show."""
        with self._changed:
            mirrored, self._mirrored = self._mirrored, {}
            return mirrored

    def fail(self, error: Exception) -> None:
        """Let the worker's thread raise this; the first error stands."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

"""What is known of a generation beside what it holds: where it stands in its life, and what it was born with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sinks.batch import Batch, OffsetRange, TopicPartition
from sinks.epoch import Epoch, parse_epoch, upsert
from sinks.ordering.range_tombstone import RangeTombstone
from sinks.shape import Shape, parse_shape


class GenerationState(StrEnum):
    """Where a generation stands.

    Attributes:
        BUILDING: it is being filled from the log. Readers have never seen it, unless it is the first generation.
        READY: it holds the log and is kept current; readers have never seen it.
        REJECTED: it holds the log, and was found to differ from the source; readers are not to see it.
        LIVE: readers see it, and it has held the log.
        KEPT: readers saw it before, and it is kept current, so that they can go back to it.
    """

    BUILDING = "building"
    READY = "ready"
    REJECTED = "rejected"
    LIVE = "live"
    KEPT = "kept"


@dataclass(frozen=True, kw_only=True)
class GenerationMetadata:
    """What a store keeps of a generation, in the store.

    Args:
        created_at: when it was made; None where nobody noted it.
        shapes: what it is made of; empty where nobody noted it.
        contract: the same in the words of whoever feeds it; stores keep it and do not read it.
        is_complete: whether it holds the log up to a mark that was set after it was made; from then on the model's
            workers keep it current.
        is_rejected: whether it was found to differ from the source.
        filled_per_s: offsets of the log by the seconds that they took when it was filled; zero where nobody timed it.
        shown_at: when readers last began to see it; None where they never did.
        seed_offsets: where its log begins, per shard that does not begin at zero.
        range_tombstones: those that its log does not tell.
        epochs: the lives of its log; empty where nobody has fed it yet.
        is_unreadable: whether the store's metadata cannot be read; then nothing else here is known.
    """

    created_at: datetime | None = None
    shapes: tuple[Shape, ...] = ()
    contract: str = ""
    is_complete: bool = True
    is_rejected: bool = False
    filled_per_s: float = 0.0
    shown_at: datetime | None = None
    seed_offsets: Mapping[TopicPartition, int] = field(default_factory=dict)
    fences: tuple[RangeTombstone, ...] = ()
    epochs: tuple[Epoch, ...] = ()
    is_unreadable: bool = False

    def state(self, *, is_live: bool) -> GenerationState:
        """Where the generation stands, given whether readers see it."""
        if not self.is_complete and (is_live or not self.shown_at):
            return GenerationState.BUILDING
        if is_live:
            return GenerationState.LIVE
        if self.is_rejected:
            return GenerationState.REJECTED
        return GenerationState.KEPT if self.shown_at else GenerationState.READY

    def as_complete(self, filled_per_s: float) -> GenerationMetadata:
        """This record, of a generation that is complete; how fast it was stands where nothing new is known of it."""
        return replace(self, is_complete=True, filled_per_s=filled_per_s or self.filled_per_s)

    def with_epoch(self, epoch: Epoch) -> GenerationMetadata:
        """This record, with what is known of one epoch."""
        return replace(self, epochs=upsert(self.epochs, epoch))

    @property
    def is_followed(self) -> bool:
        """Whether the model's workers keep the generation current: it is complete, or readers have seen it."""
        return self.is_complete or self.shown_at is not None

    @property
    def initial_batch(self) -> Batch:
        """What a generation is given before anything of the log; it may be given again."""
        return Batch(range_tombstones=self.fences, span=OffsetRange({}, self.seed_offsets))

    def to_json(self) -> str:
        """A JSON object that `from_json` reads back."""
        plain = {
            **asdict(self),
            "shapes": [asdict(shape) for shape in self.shapes],
            "seed_offsets": [[*topic_partition, offset] for topic_partition, offset in self.seed_offsets.items()],
            "fences": [range_tombstone.to_json() for range_tombstone in self.fences],
            "epochs": [epoch.to_json() for epoch in self.epochs],
        }
        return json.dumps(plain, default=datetime.isoformat)

    @classmethod
    def from_json(cls, text: str | bytes) -> GenerationMetadata:
        """Read what `to_json` wrote."""
        plain: dict[str, Any] = json.loads(text)
        read = {name: _READERS[name](value) for name, value in plain.items() if name in _READERS}
        return cls(**read)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "created_at": _moment,
    "shapes": lambda shapes: tuple(map(parse_shape, shapes)),
    "contract": str,
    "is_complete": bool,
    "is_rejected": bool,
    "filled_per_s": float,
    "shown_at": _moment,
    "seed_offsets": lambda places: {(topic, partition): offset for topic, partition, offset in places},
    "fences": lambda range_tombstones: tuple(map(RangeTombstone.from_json, range_tombstones)),
    "epochs": lambda epochs: tuple(map(parse_epoch, epochs)),
}
"""How the fields of a record are read; one that another version of this program wrote beside them is left alone."""


NO_METADATA = GenerationMetadata()
"""The record of a generation of which nothing was noted: one that was prepared, and filled, without ceremony."""

UNREADABLE_METADATA = GenerationMetadata(is_unreadable=True, is_rejected=True)
"""The record of a generation whose metadata is damaged; as a rejected one, no cutover shows it."""


def readable(text: str | bytes) -> GenerationMetadata:
    """Read a record as a store keeps it; `UNREADABLE_METADATA` where it is damaged."""
    try:
        return GenerationMetadata.from_json(text)
    except (ValueError, TypeError, KeyError, AttributeError):
        return UNREADABLE_METADATA


def utc_now() -> datetime:
    """This moment, as records have it."""
    return datetime.now(UTC)


def rollback_candidates(generations: Mapping[int, GenerationMetadata], live: int | None) -> list[int]:
    """The generations that readers saw before the live one, the last of them first."""
    seen = {
        number: record.shown_at
        for number, record in generations.items()
        if number != live and record.shown_at and record.state(is_live=False) is GenerationState.KEPT
    }
    return sorted(seen, key=lambda number: seen[number], reverse=True)

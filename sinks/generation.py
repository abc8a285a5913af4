"""Generation metadata, stored with each generation: its state, its shapes and its epochs."""

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
    """State of a generation.

    Attributes:
        BUILDING: it is being filled from the log. Readers have never seen it, unless it is the first generation.
        READY: it has applied the log and is kept current; readers have never seen it.
        REJECTED: it has applied the log, but verification found differences from the source; readers must not see it.
        LIVE: readers see it, and it has applied the log.
        KEPT: readers saw it before, and it is kept current for a rollback.
    """

    BUILDING = "building"
    READY = "ready"
    REJECTED = "rejected"
    LIVE = "live"
    KEPT = "kept"


@dataclass(frozen=True, kw_only=True)
class GenerationMetadata:
    """Metadata of a generation, kept in its store.

    Args:
        created_at: the time of its creation; None if not recorded.
        shapes: its tables or documents; empty if not recorded.
        contract: the definitions that it was built from; stores keep this text and do not interpret it.
        is_complete: it has applied the log up to a watermark that was written after its creation. From then on the
            model's workers keep it current.
        is_rejected: it was found to differ from the source.
        filled_per_s: offsets per second while it was filled; zero if not measured.
        shown_at: the time at which it last went live; None if never.
        seed_offsets: its first offset, per topic partition that does not begin at zero.
        fences: range tombstones that its log does not contain.
        epochs: the epochs of its log; empty before the first record is applied.
        is_unreadable: the stored metadata cannot be read; all other fields are then unknown.
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
        """Return the state of the generation, given whether it is live."""
        if not self.is_complete and (is_live or not self.shown_at):
            return GenerationState.BUILDING
        if is_live:
            return GenerationState.LIVE
        if self.is_rejected:
            return GenerationState.REJECTED
        return GenerationState.KEPT if self.shown_at else GenerationState.READY

    def as_complete(self, filled_per_s: float) -> GenerationMetadata:
        """Return this metadata for a complete generation. A measured speed is kept if no new one is given."""
        return replace(self, is_complete=True, filled_per_s=filled_per_s or self.filled_per_s)

    def as_rejected(self) -> GenerationMetadata:
        """Return this metadata for a generation that differs from the source."""
        return replace(self, is_rejected=True)

    def as_shown(self, since: datetime) -> GenerationMetadata:
        """Return this metadata for a generation that became live at this time."""
        return replace(self, shown_at=since)

    def with_epoch(self, epoch: Epoch) -> GenerationMetadata:
        """Return this metadata with one epoch added or merged."""
        return replace(self, epochs=upsert(self.epochs, epoch))

    @property
    def is_followed(self) -> bool:
        """True if the model's workers keep the generation current: it is complete, or readers have seen it."""
        return self.is_complete or self.shown_at is not None

    @property
    def initial_batch(self) -> Batch:
        """The batch that a generation gets before any record of the log. It may be written again."""
        return Batch(range_tombstones=self.fences, span=OffsetRange({}, self.seed_offsets))

    def to_json(self) -> str:
        """Return a JSON object that `from_json` can read."""
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
        """Read the output of `to_json`."""
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
"""Readers of the metadata fields. A field that another version of this program wrote is ignored."""


NO_METADATA = GenerationMetadata()
"""Default metadata, for a generation created without any."""

UNREADABLE_METADATA = GenerationMetadata(is_unreadable=True, is_rejected=True)
"""Metadata of a generation whose stored metadata is damaged. It counts as rejected, so no cutover shows it."""


def readable(text: str | bytes) -> GenerationMetadata:
    """Read stored metadata; `UNREADABLE_METADATA` if it is damaged."""
    try:
        return GenerationMetadata.from_json(text)
    except (ValueError, TypeError, KeyError, AttributeError):
        return UNREADABLE_METADATA


def utc_now() -> datetime:
    """Return the current time in UTC, as metadata stores it."""
    return datetime.now(UTC)


def rollback_candidates(generations: Mapping[int, GenerationMetadata], live: int | None) -> list[int]:
    """Return the generations that readers saw before the live one, latest first."""
    seen = {
        number: record.shown_at
        for number, record in generations.items()
        if number != live and record.shown_at and record.state(is_live=False) is GenerationState.KEPT
    }
    return sorted(seen, key=lambda number: seen[number], reverse=True)

"""What an index keeps beside its documents: how far the log is taken in, and the fences over its documents.

Both are documents of that same index, which the readers' alias does not show, so that whatever is lost or restored
goes back together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sinks.batch import Progress, TopicPartition
from sinks.elasticsearch.codec import RESERVED
from sinks.elasticsearch.mapping import METADATA_FIELD
from sinks.ordering.range_tombstone import RangeTombstone, RangeTombstones

PROGRESS = "progress"
SHARDS = "shards"
FENCES = "fences"
"""The kinds of these documents."""

FENCES_ID = f"{RESERVED}{FENCES}"
SHARDS_ID = f"{RESERVED}{SHARDS}"


class _Offset(msgspec.Struct):
    topic: str
    partition: int
    offset: int


class _Entry(msgspec.Struct, omit_defaults=True):
    kind: str
    progress: _Offset | None = None
    shards: list[tuple[str, int]] = []
    fences: list[dict[str, Any]] = []
    applied: list[dict[str, Any]] = []


_entries = msgspec.json.Decoder(dict[str, _Entry])


@dataclass(frozen=True)
class TombstoneState:
    """The fences of an index: all that were declared, and those that every document is known to have met."""

    declared: RangeTombstones = field(default_factory=RangeTombstones)
    applied: RangeTombstones = field(default_factory=RangeTombstones)

    def to_source(self) -> bytes:
        """Write the document."""
        declared, applied = (
            [range_tombstone.to_json() for range_tombstone in range_tombstones]
            for range_tombstones in (self.declared, self.applied)
        )
        return _source(_Entry(FENCES, fences=declared, applied=applied))

    @classmethod
    def from_source(cls, source: bytes | None) -> TombstoneState:
        """Read what `to_source` wrote; None is an index without fences."""
        if source is None:
            return cls()
        entry = _entries.decode(source)[METADATA_FIELD]
        return cls(_fences(entry.fences), _fences(entry.applied))


def progress_id(topic_partition: TopicPartition) -> str:
    """The id of the document that holds the progress of one shard."""
    topic, partition = topic_partition
    return f"{RESERVED}{PROGRESS}:{topic}:{partition}"


def encode_progress(topic_partition: TopicPartition, offset: int) -> bytes:
    """The document that holds the progress of one shard."""
    return _source(_Entry(PROGRESS, progress=_Offset(*topic_partition, offset)))


def encode_partitions(topic_partitions: Iterable[TopicPartition]) -> bytes:
    """The document that names the shards of which there is progress: found by its id, where a search would lag."""
    return _source(_Entry(SHARDS, shards=sorted(topic_partitions)))


def parse_partitions(source: bytes | None) -> set[TopicPartition]:
    """Read what `encode_partitions` wrote; None is an index that was given nothing yet."""
    return set() if source is None else set(_entries.decode(source)[METADATA_FIELD].shards)


def parse_progress(sources: list[bytes]) -> Progress:
    """Read what `encode_progress` wrote, for any number of shards."""
    offsets = [_entries.decode(source)[METADATA_FIELD].progress for source in sources]
    return Progress({(one.topic, one.partition): one.offset for one in offsets if one is not None})


def _fences(texts: list[dict[str, Any]]) -> RangeTombstones:
    return RangeTombstones().merge(map(RangeTombstone.from_json, texts))


def _source(entry: _Entry) -> bytes:
    return msgspec.json.encode({METADATA_FIELD: entry})

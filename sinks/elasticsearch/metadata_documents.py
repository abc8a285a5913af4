"""Metadata documents of an index: progress and range tombstones.

They are documents of the same index, hidden by the readers' alias, so that a loss or a restore affects all of it
together.
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
"""Kinds of metadata documents."""

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
    """Range tombstones of an index: all declared ones, and those already applied to every document."""

    declared: RangeTombstones = field(default_factory=RangeTombstones)
    applied: RangeTombstones = field(default_factory=RangeTombstones)

    def to_source(self) -> bytes:
        """Return the source of the metadata document."""
        declared, applied = (
            [range_tombstone.to_json() for range_tombstone in range_tombstones]
            for range_tombstones in (self.declared, self.applied)
        )
        return _source(_Entry(FENCES, fences=declared, applied=applied))

    @classmethod
    def from_source(cls, source: bytes | None) -> TombstoneState:
        """Read the output of `to_source`; None is an index without range tombstones."""
        if source is None:
            return cls()
        entry = _entries.decode(source)[METADATA_FIELD]
        return cls(_fences(entry.fences), _fences(entry.applied))


def progress_id(topic_partition: TopicPartition) -> str:
    """Return the id of the document with the progress of one topic partition."""
    topic, partition = topic_partition
    return f"{RESERVED}{PROGRESS}:{topic}:{partition}"


def encode_progress(topic_partition: TopicPartition, offset: int) -> bytes:
    """Return the source of the document with the progress of one topic partition."""
    return _source(_Entry(PROGRESS, progress=_Offset(*topic_partition, offset)))


def encode_partitions(topic_partitions: Iterable[TopicPartition]) -> bytes:
    """Return the source of the document that lists the topic partitions with progress, because a search would lag."""
    return _source(_Entry(SHARDS, shards=sorted(topic_partitions)))


def parse_partitions(source: bytes | None) -> set[TopicPartition]:
    """Read the output of `encode_partitions`; None is an index without progress."""
    return set() if source is None else set(_entries.decode(source)[METADATA_FIELD].shards)


def parse_progress(sources: list[bytes]) -> Progress:
    """Read the output of `encode_progress` for any number of topic partitions."""
    offsets = [_entries.decode(source)[METADATA_FIELD].progress for source in sources]
    return Progress({(one.topic, one.partition): one.offset for one in offsets if one is not None})


def _fences(texts: list[dict[str, Any]]) -> RangeTombstones:
    return RangeTombstones().merge(map(RangeTombstone.from_json, texts))


def _source(entry: _Entry) -> bytes:
    return msgspec.json.encode({METADATA_FIELD: entry})
